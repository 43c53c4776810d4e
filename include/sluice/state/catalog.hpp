// The catalog: models, channels, prices, sets, zones. One immutable file a generation, mapped
// read-only by every shard; LMDB holds only its name and hash. Everything is range-checked once,
// when it is opened, so that look-ups need no checks and no allocation.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/base/units.hpp"
#include "sluice/price/row.hpp"
#include "sluice/state/ids.hpp"

namespace sluice::state {

inline constexpr std::uint32_t kNone = 0xFFFF'FFFF;  ///< "no row" in index fields

/// Bytes in the file's string area.
struct TextRef {
  std::uint32_t offset = 0;
  std::uint32_t bytes = 0;
};

enum ModelFlags : std::uint32_t {
  kModelRetryAfterSend = 1U << 0,  ///< may fail over to another channel after the request was sent
  kModelHiddenOutput = 1U << 1,
  kModelStored = 1U << 2,  ///< answers are stored by the provider (Responses `store`)
  kModelListed = 1U << 3,  ///< shown in model lists
  kModelEnabled = 1U << 4,
  kModelNoClamp = 1U << 5,  ///< the output cap must not be edited
};

struct ModelEntry {
  std::uint32_t id = 0;                  ///< ledger's number, stable
  std::uint32_t flags = 0;               ///< ModelFlags
  TextRef name;                          ///< public name
  TextRef owner;                         ///< `owned_by` in lists
  std::uint32_t formats = 0;             ///< bit (1 << dialect format) of formats a client may use
  std::uint32_t price_row = kNone;       ///< in force when the file was built
  std::uint32_t next_price_row = kNone;  ///< comes into force at its effective_from
  std::uint32_t first_candidate = 0;
  std::uint32_t candidates = 0;             ///< in order of preference
  std::uint32_t hidden_tokens_per_s = 0;    ///< 0 = the price row's
  Tokens max_output_tokens = 0;             ///< 0 = not known
  Tokens context_tokens = 0;                ///< 0 = not known
  TimeNs created_at_ns = 0;                 ///< realtime, for lists
  std::uint32_t first_byte_timeout_ms = 0;  ///< 0 = default
  std::uint32_t between_tokens_timeout_ms = 0;
  std::uint32_t first_token_timeout_ms = 0;
  std::uint32_t total_timeout_ms = 0;
};

enum RouteGroupFlags : std::uint32_t {
  kRouteGroupEnabled = 1U << 0,
  kRouteGroupListed = 1U << 1,
};

/// A name for several models.
struct RouteGroupEntry {
  std::uint32_t id = 0;
  std::uint32_t flags = 0;  ///< RouteGroupFlags
  TextRef name;
  std::uint32_t first = 0;
  std::uint32_t models = 0;  ///< at least one, in order of preference
  TimeNs created_at_ns = 0;  ///< realtime, for lists
};

/// The provider's name of a candidate that is the name that the client has asked for.
inline constexpr std::string_view kAsAsked = "*";

struct CandidateEntry {
  std::uint32_t channel = 0;            ///< index of the channel
  std::uint16_t priority = 0;           ///< smaller first
  std::uint16_t weight = 1;             ///< share among equal priority
  TextRef upstream_model;               ///< the provider's name of the model, or kAsAsked
  std::uint32_t max_output_tokens = 0;  ///< 0 = the model's
  std::uint32_t flags = 0;
};

enum class Scheme : std::uint8_t { http = 0, https = 1 };
enum class Auth : std::uint8_t {
  none = 0,
  bearer = 1,
  x_api_key = 2,
  x_goog_api_key = 3,
  api_key = 4,
  query_key = 5
};
enum class ProxyKind : std::uint8_t { none = 0, connect = 1, socks5 = 2 };

enum ChannelFlags : std::uint32_t {
  kChannelEnabled = 1U << 0,
  kChannelPricesByChannel = 1U << 1,  ///< the multiplier is part of the customer's price
};

/// How a provider departs from its format.
enum ChannelQuirks : std::uint64_t {
  kQuirkReasoningOutside = 1U << 0,  ///< completion_tokens leaves reasoning tokens out
  kQuirkNoStreamOptions = 1U << 1,   ///< refuses stream_options, reports usage unasked
  kQuirkCapIsMaxTokens = 1U << 2,    ///< knows max_tokens, not max_completion_tokens
};

struct ChannelEntry {
  std::uint32_t id = 0;     ///< ledger's number, stable
  std::uint32_t flags = 0;  ///< ChannelFlags
  TextRef name;
  std::uint8_t format = 0;  ///< dialect's number of the provider's format
  Scheme scheme = Scheme::https;
  Auth auth = Auth::bearer;
  ProxyKind proxy = ProxyKind::none;
  std::uint16_t port = 443;
  std::uint16_t proxy_port = 0;
  TextRef host;
  TextRef base_path;  ///< "" or "/v1", no slash at the end
  TextRef proxy_host;
  TextRef proxy_credentials;  ///< sealed bytes, or empty
  TextRef extra_headers;      ///< "Name: value\r\n" lines, checked by the builder
  std::uint64_t quirks = 0;   ///< ChannelQuirks
  std::uint32_t first_key = 0;
  std::uint32_t keys = 0;
  std::uint32_t connect_timeout_ms = 0;  ///< 0 = default, as the two below
  std::uint32_t first_byte_timeout_ms = 0;
  std::uint32_t total_timeout_ms = 0;
  std::uint32_t multiplier = price::kOne;  ///< cost in thousandths of list price
  TextRef error_classes;                   ///< "CODE CLASS\n" lines: see dialect::ErrorTable
};

struct ChannelKeyEntry {
  std::uint32_t id = 0;
  std::uint32_t enabled = 1;
  TextRef sealed;  ///< crypto_box seal of the provider key; opened by the edge alone
};

struct GroupEntry {
  std::uint32_t id = 0;
  std::uint32_t multiplier = price::kOne;
  TextRef name;
};

/// Start of a window: from `start_s` on (realtime seconds) the window has this id, until the next
/// boundary.
struct Boundary {
  std::int64_t start_s = 0;
  std::uint32_t window = 0;
  std::uint32_t reserved = 0;
};

struct ZoneEntry {
  std::uint32_t id = 0;
  std::uint32_t first_day = 0;
  std::uint32_t days = 0;
  std::uint32_t first_month = 0;
  std::uint32_t months = 0;
  TextRef name;  ///< "Europe/Berlin"
};

struct CidrEntry {
  std::array<std::uint8_t, 16> address{};  ///< IPv4 as ::ffff:a.b.c.d
  std::uint8_t prefix = 0;                 ///< 0 … 128
  std::uint8_t deny = 0;                   ///< 1 = deny list
  std::array<std::uint8_t, 6> reserved{};
};

struct SetEntry {
  std::uint32_t id = 0;
  std::uint32_t first = 0;  ///< model set: word of the bitset; cidr set: entry
  std::uint32_t count = 0;
};

class MappedFile;  // src/state only

/// A mapped catalog. Immutable; shared by reference within a process. Look-ups allocate nothing.
class Catalog {
 public:
  /// Maps and checks everything. Errors: not_found, corrupt, io. `expected_hash` 0 = not compared.
  [[nodiscard]] static Result<std::shared_ptr<const Catalog>> open(const std::string& path,
                                                                   std::uint64_t expected_hash);
  /// Checks bytes that somebody else owns and keeps (tests, fuzzing).
  [[nodiscard]] static Result<std::shared_ptr<const Catalog>> view(
      std::span<const std::byte> bytes);
  ~Catalog();
  Catalog(const Catalog&) = delete;
  Catalog& operator=(const Catalog&) = delete;

  [[nodiscard]] std::uint64_t generation() const;
  [[nodiscard]] std::string_view text(TextRef ref) const;

  [[nodiscard]] std::span<const ModelEntry> models() const;
  /// What a public name stands for: a model or a group; both null when it stands for nothing.
  struct Named {
    const ModelEntry* model = nullptr;
    const RouteGroupEntry* group = nullptr;
  };
  /// By name or alias, exact: one hash probe; else by the most exact pattern that matches.
  [[nodiscard]] Named find_name(std::string_view name) const;
  /// The model of a name, null when there is none or it is a group's.
  [[nodiscard]] const ModelEntry* find_model(std::string_view name) const {
    return find_name(name).model;
  }
  [[nodiscard]] std::span<const RouteGroupEntry> route_groups() const;
  /// Indexes of the models of a group.
  [[nodiscard]] std::span<const std::uint32_t> models_of(const RouteGroupEntry& group) const;
  [[nodiscard]] const ModelEntry* find_model_id(std::uint32_t id) const;
  [[nodiscard]] std::uint32_t index_of(const ModelEntry& model) const;
  [[nodiscard]] std::span<const CandidateEntry> candidates(const ModelEntry& model) const;
  [[nodiscard]] std::span<const ChannelEntry> channels() const;
  [[nodiscard]] const ChannelEntry& channel(const CandidateEntry& candidate) const;
  [[nodiscard]] const ChannelEntry* find_channel_id(std::uint32_t id) const;
  [[nodiscard]] std::span<const ChannelKeyEntry> keys(const ChannelEntry& channel) const;

  [[nodiscard]] std::span<const price::PriceRow> prices() const;
  /// The row in force at `realtime_ns`; null when the model has none (an error, never free).
  [[nodiscard]] const price::PriceRow* price_of(const ModelEntry& model, TimeNs realtime_ns) const;
  /// By version (of a hold); null when this file does not have it.
  [[nodiscard]] const price::PriceRow* find_price(std::uint64_t version) const;

  /// Whether the set holds the model. Set 0 holds every model; an unknown set none.
  [[nodiscard]] bool model_in_set(std::uint32_t set, const ModelEntry& model) const;
  /// Whether the set names the group itself: then it holds all of its models under that name.
  [[nodiscard]] bool group_in_set(std::uint32_t set, const RouteGroupEntry& group) const;
  /// Whether the set lets the address in: no deny entry matches, and an allow entry does or there
  /// is none. Set 0 lets everyone in; an unknown set nobody.
  [[nodiscard]] bool address_allowed(std::uint32_t set,
                                     const std::array<std::uint8_t, 16>& v6) const;
  /// Windows of a zone at a time. Before the first or after the last boundary: the nearest one (a
  /// budget is then not reset too early). An unknown zone: zone 0 (UTC), which every catalog has.
  [[nodiscard]] WindowIds windows_at(std::uint32_t zone, TimeNs realtime_ns) const;
  /// When the windows of that time end (realtime); 0 = behind the last boundary.
  struct WindowEnds {
    TimeNs day_ns = 0;
    TimeNs month_ns = 0;
  };
  [[nodiscard]] WindowEnds window_ends(std::uint32_t zone, TimeNs realtime_ns) const;
  [[nodiscard]] std::span<const ZoneEntry> zones() const;
  /// Multiplier of a customer group, thousandths; nothing when the group is unknown (an error, not
  /// 1).
  [[nodiscard]] std::optional<std::uint32_t> group_multiplier(std::uint32_t group) const;

 private:
  Catalog() = default;
  [[nodiscard]] static Result<std::shared_ptr<const Catalog>> make(
      std::unique_ptr<const MappedFile> file, std::span<const std::byte> bytes,
      std::uint64_t expected_hash);
  template <class T>
  [[nodiscard]] std::span<const T> section(std::size_t which) const;
  [[nodiscard]] const ZoneEntry& zone_or_utc(std::uint32_t zone) const;
  [[nodiscard]] Result<> check_layout(std::uint64_t expected_hash) const;
  [[nodiscard]] Result<> check_content() const;
  [[nodiscard]] bool text_ok(TextRef ref) const;
  [[nodiscard]] bool models_ok() const;
  [[nodiscard]] bool channels_ok() const;
  [[nodiscard]] bool names_ok() const;
  [[nodiscard]] bool groups_ok() const;
  [[nodiscard]] bool bit_of_set(std::uint32_t set, std::size_t bit) const;
  [[nodiscard]] bool sets_ok() const;
  [[nodiscard]] bool zones_ok() const;

  std::unique_ptr<const MappedFile> file_;  ///< null for a view
  std::span<const std::byte> bytes_;
};

}  // namespace sluice::state
