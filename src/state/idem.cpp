#include "idem.hpp"

#include "rows.hpp"

namespace sluice::state {

Result<Limit> check_idem(Tables& tables, const ReserveVerb& verb, FirstUse& first) {
  const IdemKey key = idem_key(verb.key_id, verb.idem);
  Result<Loaded<IdemRecord>> row = load<IdemRecord>(tables, Table::idem, span_of(key));
  if (!row) return std::unexpected(row.error());
  const IdemRecord& record = row->record;
  if (row->found && verb.opened_at_ns < record.expires_at_ns) {
    first = {record.request_id, record.cost, record.state == IdemState::running};
    return Limit::repeated;
  }
  return row->found || tables.idem_room() ? Limit::none : Limit::idem_full;
}

Result<> begin_idem(Tables& tables, const ReserveVerb& verb) {
  IdemRecord record;
  record.request_id = verb.request_id;
  record.expires_at_ns = verb.opened_at_ns + kIdemLifetimeNs;
  return store(tables, Table::idem, span_of(idem_key(verb.key_id, verb.idem)), record);
}

Result<> end_idem(Tables& tables, const HoldRecord& hold, Nanos cost) {
  if (!names_key(hold.idem)) return {};
  const IdemKey key = idem_key(hold.key_id, hold.idem);
  Result<Loaded<IdemRecord>> row = load<IdemRecord>(tables, Table::idem, span_of(key));
  // The hold's own rows are written by now: a damaged one of ours goes, and is no reason to fail.
  const bool damaged = !row && row.error().code == Errc::corrupt;
  if (!row && !damaged) return std::unexpected(row.error());
  if (!damaged && (!row->found || row->record.request_id != hold.request_id)) return {};
  if (damaged || cost == 0) {
    const Result<bool> erased = tables.erase(Table::idem, span_of(key));
    return erased ? Result<>{} : std::unexpected(erased.error());
  }
  row->record.state = IdemState::done;
  row->record.cost = cost;
  return store(tables, Table::idem, span_of(key), row->record);
}

bool may_be_forgotten(const IdemRecord& record, TimeNs now_ns, TimeNs age_ns) {
  if (now_ns >= record.expires_at_ns) return true;
  const TimeNs used_at_ns = record.expires_at_ns - kIdemLifetimeNs;
  return record.state == IdemState::done && now_ns - used_at_ns > age_ns;
}

Result<std::size_t> forget_idem(Tables& tables, std::span<const IdemKey> keys, TimeNs now_ns,
                                TimeNs age_ns) {
  std::size_t forgotten = 0;
  for (const IdemKey& key : keys) {
    const Result<Loaded<IdemRecord>> row = load<IdemRecord>(tables, Table::idem, span_of(key));
    const bool damaged = !row && row.error().code == Errc::corrupt;
    if (!row && !damaged) return std::unexpected(row.error());
    if (row && (!row->found || !may_be_forgotten(row->record, now_ns, age_ns))) continue;
    if (const Result<bool> erased = tables.erase(Table::idem, span_of(key)); !erased) {
      return std::unexpected(erased.error());
    }
    ++forgotten;
  }
  return forgotten;
}

}  // namespace sluice::state
