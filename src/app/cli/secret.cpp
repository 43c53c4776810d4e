// Versions of the pepper and of the sealing key: shown, made, retired.
#include <fmt/format.h>

#include "running_edge.hpp"
#include "sluice/control/rotation.hpp"
#include "verbs.hpp"

namespace sluice::cli {
namespace {

constexpr std::string_view kPepper = "pepper";
constexpr std::string_view kSealingKey = "sealing-key";

struct Arguments {
  std::string kind;
  std::int64_t version = 0;
  bool force = false;
};

Outcome<> check_kind(const std::string& kind) {
  if (kind == kPepper || kind == kSealingKey) return {};
  return problem(Errc::bad_value,
                 fmt::format("'{}': must be {} or {}", kind, kPepper, kSealingKey));
}

/// A version, and how many keys would be lost without it.
Record to_record(std::string_view kind, const KeyRing& ring, std::uint32_t version,
                 std::int64_t used_by) {
  return {{"kind", std::string(kind)},
          {"version", static_cast<std::int64_t>(version)},
          {"newest", version == ring.newest().version},
          {"used_by", used_by}};
}

Outcome<std::int64_t> keys_with_pepper(control::Service& service, std::uint32_t version) {
  auto count = service.ledger.keys().live_with_pepper(version);
  if (!count) return std::unexpected(control::from_ledger(service, count.error(), "keys"));
  return *count;
}

Outcome<> list(Session& session) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  const app::Secrets& files = (*session.config())->secrets;
  std::vector<Record> records;
  const auto peppers = control::read_ring(files.pepper_file);
  if (!peppers) return std::unexpected(peppers.error());
  for (const KeyRing::Entry& entry : peppers->entries()) {
    const auto used = keys_with_pepper(**service, entry.version);
    if (!used) return std::unexpected(used.error());
    records.push_back(to_record(kPepper, *peppers, entry.version, *used));
  }
  const auto sealing_keys = control::read_ring(files.sealing_key_file);
  if (!sealing_keys) return std::unexpected(sealing_keys.error());
  auto sealed = control::count_sealed(**service, *sealing_keys);
  if (!sealed) return std::unexpected(sealed.error());
  for (const KeyRing::Entry& entry : sealing_keys->entries()) {
    records.push_back(
        to_record(kSealingKey, *sealing_keys, entry.version, (*sealed)[entry.version]));
  }
  print_list(session.json(), records);
  return {};
}

Outcome<> rotate_pepper(Session& session, const app::Config& config) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  const auto ring = control::add_version(config.secrets.pepper_file, (*service)->rng);
  if (!ring) return std::unexpected(ring.error());
  const std::uint32_t version = ring->newest().version;
  auto noted = control::note_secret(**service, "secret rotate", kPepper, version);
  if (!noted) return noted;
  if (auto read = refresh_edge(config.state.directory); !read) {
    return problem(read.error().code,
                   fmt::format("pepper {} is stored, but {}", version, read.error().text));
  }
  print_record(session.json(), to_record(kPepper, *ring, version, 0));
  return {};
}

/// The edge has the new private key before anything is sealed to it. What an earlier command left
/// unfinished is finished, and no further version made.
Outcome<> rotate_sealing_key(Session& session, const app::Config& config) {
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  const app::Secrets& files = config.secrets;
  auto ring = control::read_ring(files.sealing_key_file);
  if (!ring) return std::unexpected(ring.error());
  const auto in_use = control::read_public_key(files.sealing_public_file);
  if (!in_use) return std::unexpected(in_use.error());
  if (control::public_key_of(ring->newest().key) == *in_use) {
    ring = control::add_version(files.sealing_key_file, (*service)->rng);
    if (!ring) return std::unexpected(ring.error());
  }
  const std::uint32_t version = ring->newest().version;
  if (auto read = refresh_edge(config.state.directory); !read) {
    return problem(read.error().code,
                   fmt::format("sealing key {} is stored, but nothing is sealed to it yet: {}; "
                               "then rotate again",
                               version, read.error().text));
  }
  const Key256 public_key = control::public_key_of(ring->newest().key);
  auto replaced = control::replace_key_file(
      files.sealing_public_file,
      {reinterpret_cast<const char*>(public_key.data()), public_key.size()});
  if (!replaced) return replaced;
  const auto sealed = control::seal_anew(**service, *ring);
  if (!sealed) return std::unexpected(sealed.error());
  if (auto visible = session.wait_visible(); !visible) return visible;
  auto counts = control::count_sealed(**service, *ring);
  if (!counts) return std::unexpected(counts.error());
  Record record = to_record(kSealingKey, *ring, version, (*counts)[version]);
  record.emplace_back("sealed_anew", *sealed);
  record.emplace_back("not_opened", (*counts)[0]);
  print_record(session.json(), record);
  return {};
}

Outcome<> rotate(Session& session, const Arguments& arguments) {
  if (auto known = check_kind(arguments.kind); !known) return known;
  auto config = session.config();
  if (!config) return std::unexpected(config.error());
  return arguments.kind == kPepper ? rotate_pepper(session, **config)
                                   : rotate_sealing_key(session, **config);
}

/// How many keys would be lost with the version.
Outcome<std::int64_t> dependents(control::Service& service, const app::Secrets& files,
                                 std::string_view kind, std::uint32_t version) {
  if (kind == kPepper) return keys_with_pepper(service, version);
  const auto ring = control::read_ring(files.sealing_key_file);
  if (!ring) return std::unexpected(ring.error());
  auto counts = control::count_sealed(service, *ring);
  if (!counts) return std::unexpected(counts.error());
  return (*counts)[version];
}

Outcome<> retire(Session& session, const Arguments& arguments) {
  if (auto known = check_kind(arguments.kind); !known) return known;
  if (arguments.version <= 0 || arguments.version > UINT32_MAX)
    return problem(Errc::bad_value, "version: must be a number above 0");
  const auto version = static_cast<std::uint32_t>(arguments.version);
  auto service = session.service();
  if (!service) return std::unexpected(service.error());
  const app::Config& config = **session.config();
  const bool pepper = arguments.kind == kPepper;
  const auto lost = dependents(**service, config.secrets, arguments.kind, version);
  if (!lost) return std::unexpected(lost.error());
  if (*lost > 0 && !arguments.force) {
    return problem(Errc::conflict,
                   pepper ? fmt::format("{} live keys need pepper {}: replace them first (sluice "
                                        "key list), or --force",
                                        *lost, version)
                          : fmt::format("{} provider keys are sealed to sealing key {}: rotate "
                                        "first, or --force",
                                        *lost, version));
  }
  const auto ring = control::remove_version(
      pepper ? config.secrets.pepper_file : config.secrets.sealing_key_file, version);
  if (!ring) return std::unexpected(ring.error());
  auto noted = control::note_secret(**service, "secret retire", arguments.kind, version);
  if (!noted) return noted;
  if (auto read = refresh_edge(config.state.directory); !read) {
    return problem(read.error().code, fmt::format("{} {} is removed, but {}", arguments.kind,
                                                  version, read.error().text));
  }
  print_record(session.json(), to_record(arguments.kind, *ring, version, *lost));
  return {};
}

}  // namespace

void add_secret_verbs(Parser& parser, Session& session) {
  parser.verb("secret", "list", "lists versions and how many keys depend on each").runs([&session] {
    return list(session);
  });

  auto rotated = std::make_shared<Arguments>();
  parser.verb("secret", "rotate", "makes a new version; older ones stay in force until retired")
      .argument("kind", "pepper or sealing-key", rotated->kind)
      .runs([&session, rotated] { return rotate(session, *rotated); });

  auto retired = std::make_shared<Arguments>();
  parser.verb("secret", "retire", "removes an older version that no live key needs")
      .argument("kind", "pepper or sealing-key", retired->kind)
      .option("--version", "which: sluice secret list", retired->version)
      .flag("--force", "also where keys are lost by it", retired->force)
      .runs([&session, retired] { return retire(session, *retired); });
}

}  // namespace sluice::cli
