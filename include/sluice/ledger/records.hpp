// The nouns that the ledger keeps, as plain values. Ids are > 0 and never reused; 0 means "not stored yet" or
// "none". Times are nanoseconds since 1970 UTC. Money is Nanos. Names are unique within their kind.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "sluice/base/units.hpp"

namespace sluice::ledger {

using Id = std::int64_t;

/// A limit that is not set.
inline constexpr std::int64_t kUnlimited = -1;

struct Customer {
  Id id = 0;
  std::string name;
  std::string group = "default";  ///< price group
  std::string note;
  bool enabled = true;
  TimeNs created_ns = 0;
};

/// A prepaid wallet. Its balance is the sum of its entries; nobody writes it.
struct Wallet {
  Id id = 0;
  Id customer_id = 0;
  Nanos overdraft_limit = 0;         ///< ≥ 0
  Nanos budget_day = kUnlimited;
  Nanos budget_month = kUnlimited;
  std::int64_t max_in_flight = kUnlimited;
  std::string zone = "UTC";          ///< IANA zone of the wallet's windows
  std::int64_t last_no = 0;          ///< last number handed out to a delta (state-machine.md row 10)
  Nanos balance = 0;                 ///< credits − debits of its account, as of the read
};

enum class OnDisconnect : std::uint8_t { cancel, drain };
enum class OnRevoke : std::uint8_t { finish, cut };

/// What a client key may do.
struct KeyPolicy {
  std::string models = "*";       ///< comma-separated names; '*' stands for any run of characters
  std::string cidr_allow;         ///< comma-separated CIDRs; empty = every address
  std::string cidr_deny;
  TimeNs expires_ns = 0;          ///< 0 = never
  Nanos budget_total = kUnlimited;
  Nanos budget_day = kUnlimited;
  Nanos budget_month = kUnlimited;
  std::int64_t requests_per_minute = kUnlimited;
  std::int64_t tokens_per_minute = kUnlimited;
  std::int64_t max_in_flight = kUnlimited;
  std::string zone = "UTC";       ///< IANA zone in which days and months begin
  OnDisconnect on_disconnect = OnDisconnect::cancel;
  OnRevoke on_revoke = OnRevoke::finish;
  bool clamp = false;             ///< lower the output cap to what the balance can pay
  bool may_pin = false;           ///< may choose a channel by suffix or header
  bool reserve_context = false;   ///< allows input that is not in the body, by reserving the context window
  friend bool operator==(const KeyPolicy&, const KeyPolicy&) = default;
};

struct ApiKey {
  Id id = 0;
  Id wallet_id = 0;
  std::string name;               ///< unique within the wallet
  std::string digest;             ///< HMAC-SHA-256(pepper, key), 64 lower-case hex digits
  std::string last_chars;         ///< last 4 characters of the key, for people
  bool enabled = true;
  KeyPolicy policy;
  TimeNs created_ns = 0;
  std::int64_t generation = 0;    ///< of the last change; see Generations
};

struct Provider {
  Id id = 0;
  std::string name;
  std::string dialect;            ///< openai, anthropic or gemini: the format of its API
  std::string base_url;           ///< scheme://host[:port][/path], checked, no trailing slash
  bool enabled = true;
};

/// A provider's API key, sealed to the edge's public key: nobody but the edge can read it.
struct ProviderKey {
  Id id = 0;
  Id provider_id = 0;
  std::string name;               ///< unique within the provider
  std::string sealed;             ///< crypto_box_curve25519xchacha20poly1305_seal, base64
  std::string last_chars;
  bool enabled = true;
};

/// A way to a provider.
struct Channel {
  Id id = 0;
  std::string name;
  Id provider_id = 0;
  std::int64_t priority = 0;      ///< lower is tried first
  std::int64_t weight = 1;        ///< share among equals, 1 to 1000
  std::int64_t cost_ppm = 1'000'000;  ///< the channel's cost against list price, parts per million
  std::string proxy;              ///< http://… or socks5://…, empty = direct
  bool enabled = true;
};

struct Model {
  Id id = 0;
  std::string name;               ///< public name
  std::string formats;            ///< comma-separated client formats: chat, responses, messages, gemini, embeddings
  Tokens context_tokens = 128'000;
  Tokens max_output_tokens = 8'192;
  std::int64_t input_margin_ppm = 1'300'000;   ///< estimate × margin = hold (design §12)
  bool hidden_output = false;     ///< reasons without streaming it: accrues by time
  std::int64_t hidden_tokens_per_s = 100;
  bool retry_after_send = true;
  bool free = false;              ///< costs nothing, and says so; otherwise a price is required
  bool enabled = true;
};

/// Model → channel, with the name that the upstream knows.
struct Route {
  Id model_id = 0;
  Id channel_id = 0;
  std::string upstream_model;
  bool enabled = true;
  friend bool operator==(const Route&, const Route&) = default;
};

/// One immutable price row; its id is the price version that holds and records carry. Nanos per million tokens;
/// fees in Nanos. Each class has its own price: nothing is derived from another.
struct Price {
  Id id = 0;
  Id model_id = 0;
  std::string group = "default";  ///< customer group
  TimeNs effective_ns = 0;        ///< from when it counts
  Tokens band_from_tokens = 0;    ///< whole-request band: prompts of at least so many tokens; 0 = base row
  Nanos input = 0;
  Nanos cache_read = 0;
  Nanos cache_write_short = 0;
  Nanos cache_write_long = 0;
  Nanos output = 0;
  Nanos per_request = 0;
  Nanos per_tool_call = 0;
  std::int64_t window_from_min = 0;    ///< time-of-day window in UTC, minutes [from, until)
  std::int64_t window_until_min = 1440;
};

enum class EntryKind : std::uint8_t { credit = 1, debit, charge, excess, loss, gap };

/// One line of the books: `amount` > 0 moves from the debited to the credited account. Append-only.
struct Entry {
  Id id = 0;
  TimeNs at_ns = 0;
  EntryKind kind = EntryKind::credit;
  Id debit_account = 0;
  Id credit_account = 0;
  Nanos amount = 0;
  Id wallet_id = 0;
  Id price_version = 0;           ///< charges: all rows of the entry have it
  std::int64_t batch = 0;         ///< drain batch, 0 for entries that people made
  std::int64_t wallet_no = 0;     ///< delta number, for credits and debits
  std::string note;
};

/// A change that the reconciler has to bring into shared state: row 10.
struct Delta {
  Id wallet_id = 0;
  std::int64_t wallet_no = 0;
  Nanos amount = 0;               ///< signed: negative for a forced debit
};

struct AuditRow {
  Id id = 0;
  TimeNs at_ns = 0;
  std::string actor;              ///< user name of the operator, or "apply FILE"
  std::string action;             ///< "key add"
  std::string subject;            ///< "acme/staging"
  std::string detail;
};

[[nodiscard]] const char* to_string(EntryKind kind);

}  // namespace sluice::ledger
