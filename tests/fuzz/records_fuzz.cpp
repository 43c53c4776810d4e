// Rows of the shared state: what decodes is what encodes. The first byte says which record; bytes
// come as they are, and once more with a header that is right, so that what lies behind the sum is
// reached.
#include <cstring>

#include "fuzz.hpp"
#include "sluice/base/crc32c.hpp"
#include "sluice/state/records.hpp"

namespace sluice::state {
namespace {

template <class Record>
void play(ByteSpan bytes) {
  Record out;
  const auto decoded = decode<Record>(bytes);
  fuzz::check(decoded.has_value() == decode_into(bytes, out), "both ways to decode agree");
  if (!decoded) {
    fuzz::check(decoded.error().code == Errc::corrupt, "a bad row is corrupt");
    return;
  }
  Record again = *decoded;
  const ByteSpan stored = encode(again);
  fuzz::check(stored.size() <= bytes.size() && stored.size() == again.header.bytes,
              "no row grows by being read");
  if (stored.size() == bytes.size()) {
    fuzz::check(std::memcmp(stored.data(), bytes.data(), bytes.size()) == 0,
                "what decodes encodes to the same bytes");
    return;
  }
  // A row with zeros at its end that need not be stored.
  const auto shorter = decode<Record>(stored);
  fuzz::check(shorter.has_value(), "it decodes without them");
  Record same = *shorter;
  same.header = decoded->header;
  fuzz::check(std::memcmp(&same, &*decoded, sizeof(Record)) == 0, "to the same record");
}

template <class Record>
void play_both(ByteSpan bytes) {
  play<Record>(bytes);
  Record model;
  const ByteSpan stored = encode(model);
  std::vector<std::byte> row(std::clamp(bytes.size() / 8 * 8, stored.size(), sizeof(Record)));
  std::memcpy(row.data(), bytes.data(), std::min(bytes.size(), row.size()));
  model.header.bytes = static_cast<std::uint16_t>(row.size());
  std::memcpy(row.data(), &model.header, sizeof(RecordHeader));
  std::memset(row.data() + offsetof(RecordHeader, crc), 0, 4);
  const std::uint32_t crc = crc32c(row.data(), row.size());
  std::memcpy(row.data() + offsetof(RecordHeader, crc), &crc, 4);
  play<Record>(row);
}

void play_keys(ByteSpan bytes) {
  if (const auto hold = parse_hold_key(bytes)) {
    const HoldKey key = hold_key(*hold);
    fuzz::check(
        bytes.size() == key.size() && std::memcmp(key.data(), bytes.data(), key.size()) == 0,
        "a hold's key");
  } else {
    fuzz::check(bytes.size() != sizeof(HoldKey), "every key of its size is one");
  }
  if (const auto outbox = parse_outbox_key(bytes)) {
    const OutboxKey key = outbox_key(outbox->slot, outbox->seq);
    fuzz::check(
        bytes.size() == key.size() && std::memcmp(key.data(), bytes.data(), key.size()) == 0,
        "an outbox key");
  } else {
    fuzz::check(bytes.size() != sizeof(OutboxKey), "every key of its size is one");
  }
}

}  // namespace
}  // namespace sluice::state

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice::state;
  if (size == 0) return 0;
  const std::unique_ptr<std::byte[]> exact(new std::byte[size - 1]);
  std::memcpy(exact.get(), data + 1, size - 1);
  const ByteSpan bytes(exact.get(), size - 1);
  switch (data[0] % 10) {
    case 0:
      play_both<MetaRecord>(bytes);
      break;
    case 1:
      play_both<KeyRecord>(bytes);
      break;
    case 2:
      play_both<WalletRecord>(bytes);
      break;
    case 3:
      play_both<CounterRecord>(bytes);
      break;
    case 4:
      play_both<SlotRecord>(bytes);
      break;
    case 5:
      play_both<HoldRecord>(bytes);
      break;
    case 6:
      play_both<OutboxRecord>(bytes);
      break;
    case 7:
      play_both<IdemRecord>(bytes);
      break;
    case 8:
      play_both<CatalogPointer>(bytes);
      break;
    default:
      play_keys(bytes);
  }
  return 0;
}
