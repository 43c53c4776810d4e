#include "sluice/state/records.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "sluice/base/crc32c.hpp"

namespace sluice::state {
namespace {

static_assert(std::endian::native == std::endian::little,
              "records are stored as they are in memory");

constexpr std::uint8_t kRecordVersion = 2;
constexpr KeyId kMaxNumber = (std::uint64_t{1} << 62) - 1;

template <class Record>
struct KindOf;
template <>
struct KindOf<MetaRecord> {
  static constexpr RecordKind value = RecordKind::meta;
};
template <>
struct KindOf<KeyRecord> {
  static constexpr RecordKind value = RecordKind::key;
};
template <>
struct KindOf<WalletRecord> {
  static constexpr RecordKind value = RecordKind::wallet;
};
template <>
struct KindOf<CounterRecord> {
  static constexpr RecordKind value = RecordKind::counter;
};
template <>
struct KindOf<SlotRecord> {
  static constexpr RecordKind value = RecordKind::slot;
};
template <>
struct KindOf<HoldRecord> {
  static constexpr RecordKind value = RecordKind::hold;
};
template <>
struct KindOf<OutboxRecord> {
  static constexpr RecordKind value = RecordKind::outbox;
};
template <>
struct KindOf<IdemRecord> {
  static constexpr RecordKind value = RecordKind::idem;
};
template <>
struct KindOf<CatalogPointer> {
  static constexpr RecordKind value = RecordKind::catalog;
};

/// What is stored at least. Usage records end in what most requests leave zero, failed attempts and
/// labels: their last words are stored as far as one is not zero.
template <class Record>
constexpr std::size_t kLeastBytes = sizeof(Record);
template <>
constexpr std::size_t kLeastBytes<OutboxRecord> = offsetof(OutboxRecord, failed);
static_assert(kLeastBytes<OutboxRecord> % sizeof(std::uint64_t) == 0);

template <class Record>
std::size_t stored_bytes(const Record& record) {
  const auto* const at = reinterpret_cast<const std::byte*>(&record);
  std::size_t bytes = sizeof(Record);
  std::uint64_t last = 0;
  while (bytes > kLeastBytes<Record>) {
    std::memcpy(&last, at + bytes - sizeof(last), sizeof(last));
    if (last != 0) break;
    bytes -= sizeof(last);
  }
  return bytes;
}

/// CRC over `stored` bytes without the CRC field itself.
template <class Record>
std::uint32_t record_crc(const Record& record, std::size_t stored) {
  const auto* bytes = reinterpret_cast<const std::byte*>(&record);
  constexpr std::size_t kAfterHeader = sizeof(RecordHeader);
  constexpr std::size_t kBeforeCrc = offsetof(RecordHeader, crc);
  const std::uint32_t seed = crc32c(bytes, kBeforeCrc);
  return crc32c(bytes + kAfterHeader, stored - kAfterHeader, seed);
}

template <class Enum>
bool between(Enum value, Enum low, Enum high) {
  return value >= low && value <= high;
}

bool id_valid(std::uint64_t id) { return id > 0 && id <= kMaxNumber; }

bool valid(const MetaRecord& r) {
  return r.epoch > 0 && r.ready <= 1 && r.slots > 0 && r.slots <= kMaxSlots;
}

bool valid(const KeyRecord& r) {
  return id_valid(r.key_id) && id_valid(r.wallet_id) &&
         between(r.state, KeyState::active, KeyState::revoked) &&
         r.on_disconnect <= OnDisconnect::drain && r.on_low_balance <= OnLowBalance::clamp &&
         r.on_revoke <= OnRevoke::cut && r.drain_nanos >= 0 && r.excess_max >= 0 &&
         r.expires_at_ns >= 0;
}

bool valid(const WalletRecord& r) {
  return id_valid(r.wallet_id) && r.held >= 0 && r.charged >= 0 && r.excess >= 0 &&
         r.lease_granted >= 0 && r.lease_returned >= 0 && r.overdraft_limit >= 0 &&
         between(r.state, WalletState::active, WalletState::suspended);
}

bool valid(const Window& w) { return w.spent >= 0 && w.reserved >= 0; }

bool valid(const CounterRecord& r) {
  return id_valid(r.id) && id_valid(r.wallet_id) && r.kind <= CounterKind::wallet &&
         between(r.state, KeyState::active, KeyState::revoked) &&
         r.limits.budget_total >= kNoBudget && r.limits.budget_day >= kNoBudget &&
         r.limits.budget_month >= kNoBudget && valid(r.total) && valid(r.day) && valid(r.month) &&
         r.requests_tat_ns >= 0 && r.tokens_tat_ns >= 0;
}

bool valid(const SlotRecord& r) { return r.slot < kMaxSlots; }

bool valid(const HoldRecord& r) {
  return between(r.kind, HoldKind::request, HoldKind::withdraw) &&
         between(r.state, HoldState::open, HoldState::tombstone) &&
         static_cast<std::size_t>(r.tier) < price::kTiers && id_valid(r.wallet_id) &&
         id_valid(r.key_id) && r.amount >= 0 && r.excess_max >= 0 && r.input_estimate >= 0 &&
         r.rate_tokens >= 0;
}

bool valid(const OutboxRecord& r) {
  return between(r.kind, OutboxKind::usage, OutboxKind::voided) && r.end <= price::End::expired &&
         r.phase <= price::Phase::final && r.hold.seq > 0 && r.hold.slot < kMaxSlots &&
         r.held >= 0 && r.charged >= 0 && r.excess >= 0 && r.loss >= 0 && r.charged <= r.held &&
         r.upstream_cost >= 0 &&
         std::ranges::all_of(r.failed, [](const FailedAttempt& a) { return a.cost >= 0; });
}

bool valid(const IdemRecord& r) {
  return between(r.state, IdemState::running, IdemState::done) && r.cost >= 0;
}

bool ends_in_zero(const std::array<char, kFileNameBytes>& name) { return name.back() == '\0'; }

bool valid(const CatalogPointer& r) {
  return ends_in_zero(r.catalog_file) && ends_in_zero(r.addresses_file);
}

template <std::size_t Size>
void store_be(std::byte* out, std::uint64_t value) {
  for (std::size_t i = 0; i < Size; ++i) {
    out[i] = static_cast<std::byte>(value >> (8 * (Size - 1 - i)));
  }
}

template <std::size_t Size>
std::uint64_t load_be(const std::byte* in) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < Size; ++i) value = value << 8 | static_cast<std::uint64_t>(in[i]);
  return value;
}

}  // namespace

template <class Record>
ByteSpan encode(Record& record) {
  static_assert(std::is_trivially_copyable_v<Record> && std::is_standard_layout_v<Record>);
  static_assert(std::has_unique_object_representations_v<Record>,
                "padding would be stored undefined");
  static_assert(sizeof(Record) % 8 == 0 && sizeof(Record) < 65536);
  record.header.version = kRecordVersion;
  record.header.kind = static_cast<std::uint8_t>(KindOf<Record>::value);
  const std::size_t stored = stored_bytes(record);
  record.header.bytes = static_cast<std::uint16_t>(stored);
  record.header.crc = record_crc(record, stored);
  return std::as_bytes(std::span(&record, 1)).first(stored);
}

template <class Record>
bool decode_into(ByteSpan bytes, Record& out) {
  if (bytes.size() < kLeastBytes<Record> || bytes.size() > sizeof(Record) || bytes.size() % 8 != 0)
    return false;
  auto* const to = reinterpret_cast<std::byte*>(&out);
  std::memcpy(to, bytes.data(), bytes.size());
  std::memset(to + bytes.size(), 0, sizeof(Record) - bytes.size());
  const RecordHeader& header = out.header;
  return header.version == kRecordVersion &&
         header.kind == static_cast<std::uint8_t>(KindOf<Record>::value) &&
         header.bytes == bytes.size() && header.crc == record_crc(out, bytes.size()) && valid(out);
}

template <class Record>
Result<Record> decode(ByteSpan bytes) {
  Result<Record> record;
  if (!decode_into(bytes, *record)) return fail(Errc::corrupt);
  return record;
}

#define SLUICE_RECORD(Record)                   \
  template ByteSpan encode(Record&);            \
  template bool decode_into(ByteSpan, Record&); \
  template Result<Record> decode<Record>(ByteSpan)
SLUICE_RECORD(MetaRecord);
SLUICE_RECORD(KeyRecord);
SLUICE_RECORD(WalletRecord);
SLUICE_RECORD(CounterRecord);
SLUICE_RECORD(SlotRecord);
SLUICE_RECORD(HoldRecord);
SLUICE_RECORD(OutboxRecord);
SLUICE_RECORD(IdemRecord);
SLUICE_RECORD(CatalogPointer);
#undef SLUICE_RECORD

HoldKey hold_key(const HoldId& id) {
  HoldKey key;
  store_be<8>(key.data(), id.epoch);
  store_be<4>(key.data() + 8, id.slot);
  store_be<8>(key.data() + 12, id.seq);
  return key;
}

OutboxKey outbox_key(SlotId slot, std::uint64_t seq) {
  OutboxKey key;
  store_be<4>(key.data(), slot);
  store_be<8>(key.data() + 4, seq);
  return key;
}

NumberKey number_key(std::uint64_t id) { return std::bit_cast<NumberKey>(id); }

namespace {

enum class Rank : std::uint8_t { wallet = 0, counters_of_wallet = 1, counters_of_key = 2 };

AccountKey account_key(WalletId wallet, Rank rank, std::uint64_t id) {
  AccountKey key;
  store_be<8>(key.data(), wallet);
  key[8] = static_cast<std::byte>(rank);
  store_be<8>(key.data() + 9, id);
  return key;
}

}  // namespace

AccountKey wallet_key(WalletId wallet) { return account_key(wallet, Rank::wallet, 0); }

AccountKey counter_key(CounterKind kind, WalletId wallet, std::uint64_t id) {
  return kind == CounterKind::wallet ? account_key(wallet, Rank::counters_of_wallet, 0)
                                     : account_key(wallet, Rank::counters_of_key, id);
}

IdemKey idem_key(KeyId key, const IdemHash& hash) {
  IdemKey out;
  store_be<8>(out.data(), key);
  std::memcpy(out.data() + 8, hash.data(), hash.size());
  return out;
}

Result<HoldId> parse_hold_key(ByteSpan key) {
  if (key.size() != sizeof(HoldKey)) return fail(Errc::corrupt);
  return HoldId(load_be<8>(key.data()), static_cast<SlotId>(load_be<4>(key.data() + 8)),
                load_be<8>(key.data() + 12));
}

Result<OutboxId> parse_outbox_key(ByteSpan key) {
  if (key.size() != sizeof(OutboxKey)) return fail(Errc::corrupt);
  return OutboxId{static_cast<SlotId>(load_be<4>(key.data())), load_be<8>(key.data() + 4)};
}

}  // namespace sluice::state
