#include "sluice/state/addresses.hpp"

#include <algorithm>
#include <bit>
#include <set>

#include "catalog_text.hpp"
#include "mapped_file.hpp"

namespace sluice::state {
namespace {

constexpr std::uint64_t kMagic = 0x3152'4444'414c'4453;
constexpr std::uint32_t kLayout = 2;
constexpr std::uint64_t kHostSeed = 0x686f'7374;
constexpr std::uint32_t kEmpty = 0xFFFF'FFFF;

enum Section : std::size_t { kHosts, kAddresses, kText };

/// Hash table of hosts; size a power of two, at least one place empty.
struct HostEntry {
  std::uint32_t name_offset = 0;
  std::uint32_t name_bytes = kEmpty;  ///< kEmpty = empty place
  std::uint32_t first = 0;            ///< into kAddresses
  std::uint16_t count = 0;
  std::uint16_t port = 0;
};

std::uint64_t place_of(std::string_view host, std::uint16_t port) {
  return mix_text(host, kHostSeed + port);
}

bool spec_valid(const AddressSpec& spec) {
  return host_valid(spec.host) && spec.port != 0 && spec.addresses.size() <= kAddressesPerHost &&
         std::ranges::all_of(spec.addresses, [](const PinnedAddress& address) {
           return (address.family == 4 || address.family == 6) && address.port != 0;
         });
}

}  // namespace

Result<std::vector<std::byte>> build_addresses(std::uint64_t generation,
                                               std::span<const AddressSpec> specs) {
  std::vector<HostEntry> hosts(std::bit_ceil(specs.size() * 2 + 1));
  std::vector<PinnedAddress> addresses;
  std::string text;
  std::set<std::pair<std::string, std::uint16_t>> seen;
  const std::uint64_t mask = hosts.size() - 1;
  for (const AddressSpec& spec : specs) {
    if (!spec_valid(spec) || !seen.emplace(spec.host, spec.port).second)
      return fail(Errc::bad_value);
    std::uint64_t at = place_of(spec.host, spec.port) & mask;
    while (hosts[at].name_bytes != kEmpty) at = (at + 1) & mask;
    hosts[at] = {static_cast<std::uint32_t>(text.size()),
                 static_cast<std::uint32_t>(spec.host.size()),
                 static_cast<std::uint32_t>(addresses.size()),
                 static_cast<std::uint16_t>(spec.addresses.size()), spec.port};
    text += spec.host;
    addresses.insert(addresses.end(), spec.addresses.begin(), spec.addresses.end());
  }
  SectionWriter file(kMagic, kLayout, generation);
  file.add<HostEntry>(kHosts, hosts);
  file.add<PinnedAddress>(kAddresses, addresses);
  file.add<char>(kText, std::span<const char>(text.data(), text.size()));
  return file.finish();
}

AddressBook::~AddressBook() = default;

Result<std::shared_ptr<const AddressBook>> AddressBook::make(std::unique_ptr<const MappedFile> file,
                                                             std::span<const std::byte> bytes,
                                                             std::uint64_t expected_hash) {
  std::shared_ptr<AddressBook> book(new AddressBook());
  book->file_ = std::move(file);
  book->bytes_ = bytes;
  if (Result<> checked = book->check(expected_hash); !checked)
    return std::unexpected(checked.error());
  return book;
}

Result<std::shared_ptr<const AddressBook>> AddressBook::open(const std::string& path,
                                                             std::uint64_t expected_hash) {
  Result<std::unique_ptr<const MappedFile>> file = MappedFile::open(path);
  if (!file) return std::unexpected(file.error());
  const std::span<const std::byte> bytes = (*file)->bytes();
  return make(std::move(*file), bytes, expected_hash);
}

Result<std::shared_ptr<const AddressBook>> AddressBook::view(std::span<const std::byte> bytes) {
  return make(nullptr, bytes, 0);
}

Result<> AddressBook::check(std::uint64_t expected_hash) const {
  if (Result<> header = check_header(bytes_, kMagic, kLayout, expected_hash); !header)
    return header;
  if (!section_fits(bytes_, kHosts, sizeof(HostEntry)) ||
      !section_fits(bytes_, kAddresses, sizeof(PinnedAddress)) || !section_fits(bytes_, kText, 1)) {
    return fail(Errc::corrupt);
  }
  const auto hosts = section_of<HostEntry>(bytes_, kHosts);
  const auto addresses = section_of<PinnedAddress>(bytes_, kAddresses);
  const auto text = section_of<char>(bytes_, kText);
  if (!std::has_single_bit(hosts.size())) return fail(Errc::corrupt);
  bool empty = false;
  for (const HostEntry& host : hosts) {
    if (host.name_bytes == kEmpty) {
      empty = true;
    } else if (std::uint64_t{host.name_offset} + host.name_bytes > text.size() ||
               std::uint64_t{host.first} + host.count > addresses.size() ||
               host.count > kAddressesPerHost) {
      return fail(Errc::corrupt);
    }
  }
  if (!empty) return fail(Errc::corrupt);
  for (const PinnedAddress& address : addresses) {
    if (address.family != 4 && address.family != 6) return fail(Errc::corrupt);
  }
  return {};
}

std::uint64_t AddressBook::generation() const { return header_of(bytes_).generation; }

std::span<const PinnedAddress> AddressBook::find(std::string_view host, std::uint16_t port) const {
  const auto hosts = section_of<HostEntry>(bytes_, kHosts);
  const auto text = section_of<char>(bytes_, kText);
  const std::uint64_t mask = hosts.size() - 1;
  for (std::uint64_t at = place_of(host, port) & mask; hosts[at].name_bytes != kEmpty;
       at = (at + 1) & mask) {
    const HostEntry& entry = hosts[at];
    if (entry.port == port &&
        std::string_view(text.data() + entry.name_offset, entry.name_bytes) == host) {
      return section_of<PinnedAddress>(bytes_, kAddresses).subspan(entry.first, entry.count);
    }
  }
  return {};
}

}  // namespace sluice::state
