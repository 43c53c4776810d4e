#include "plan.hpp"

#include <algorithm>

#include "route_choice.hpp"

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

// What a whole answer may take when neither the client, the model nor the price row names a
// maximum.
constexpr Tokens kUnknownMaximum = 8192;

bool produces_output(dialect::Operation operation) {
  return operation != dialect::Operation::openai_embeddings &&
         operation != dialect::Operation::gemini_embed;
}

Tokens least_named(Tokens a, Tokens b) {
  if (a <= 0) return b;
  if (b <= 0) return a;
  return std::min(a, b);
}

// Output tokens of one choice that the first reservation covers.
Tokens first_output(const Services& services, const Plan& plan, dialect::Operation operation) {
  if (!produces_output(operation)) return 0;
  const Tokens cap = plan.scan->cap.tokens > 0 ? plan.scan->cap.tokens : 0;
  const Tokens maximum =
      least_named(plan.hold.row->max_output_tokens, plan.model->max_output_tokens);
  if (plan.stream) return price::first_slice(services.settings.slice, cap, maximum);
  const Tokens most = least_named(cap, maximum);
  return most > 0 ? most : kUnknownMaximum;
}

bool fill_terms(const Services& services, const Snapshot& snapshot, const state::KeyRecord& key,
                const Request& request, Plan& plan, policy::Denial& denial) {
  HoldTerms& hold = plan.hold;
  hold.row = snapshot.catalog->price_of(*plan.model, request.head.received_realtime_ns);
  const auto multiplier = snapshot.catalog->group_multiplier(key.group);
  if (hold.row == nullptr || !multiplier) {
    denial = {ErrorKind::unavailable, "The model has no price at present.", "model"};
    return false;
  }
  hold.zones = snapshot.catalog.get();
  hold.key_zone = key.zone;
  hold.wallet_zone = key.wallet_zone;
  hold.terms = {.at_ns = request.head.received_realtime_ns, .multiplier = *multiplier};
  hold.input_estimate = dialect::estimate_input_tokens(*plan.scan);
  hold.choices = std::max(plan.scan->choices, 1U);
  hold.output_cap = plan.scan->cap.tokens > 0 ? plan.scan->cap.tokens : 0;
  hold.extends = plan.stream;
  hold.slice = first_output(services, plan, request.head.route.operation);
  plan.estimate.input_tokens = hold.input_estimate;
  plan.estimate.output_tokens = hold.slice;
  plan.estimate.choices = hold.choices;
  plan.estimate.whole_context = plan.scan->has(dialect::Special::previous_response) ||
                                plan.scan->has(dialect::Special::stored_file) ||
                                plan.scan->has(dialect::Special::remote_url) ||
                                plan.scan->has(dialect::Special::cached_content);
  return true;
}

bool price_hold(const Services& services, const state::KeyRecord& key, Plan& plan) {
  HoldTerms& hold = plan.hold;
  const Result<Tokens> bound = price::input_bound(*hold.row, plan.estimate);
  const Result<Nanos> amount = price::estimate(*hold.row, plan.estimate, hold.terms);
  if (!bound || !amount) return false;
  hold.prompt_bound = *bound;
  hold.amount = *amount;
  hold.excess_max = key.excess_max;
  if (hold.excess_max == 0) {
    const Result<Nanos> slice =
        price::output_cost(*hold.row, hold.terms, *bound, services.settings.slice.standard);
    if (!slice) return false;
    hold.excess_max = *slice;
  }
  return true;
}

const char* message_of_scan(const Error& error) {
  switch (error.code) {
    case Errc::too_large:
      return "The request body is too large.";
    case Errc::bad_value:
      return "The request body lacks a field that is needed, or a field has an invalid value.";
    case Errc::unsupported:
      return "The request body has more levels of objects and arrays than are accepted.";
    default:
      return "The request body is not valid JSON.";
  }
}

bool scan_body(const Services& services, const Request& request, Plan& plan,
               policy::Denial& denial) {
  const auto scan = dialect::scan_request(
      request.head.route.operation, request.body.view(),
      {.body_bytes = static_cast<std::size_t>(services.settings.limits.body_bytes),
       .json_depth = services.settings.json_depth});
  if (!scan) {
    const bool large = scan.error().code == Errc::too_large;
    denial = {large ? ErrorKind::too_large : ErrorKind::bad_request, message_of_scan(scan.error()),
              ""};
    return false;
  }
  plan.scan = std::make_unique<PooledScan>(PooledScan{*scan, {}});
  plan.operation = request.head.route.operation;
  plan.stream = scan->stream || request.head.route.stream;
  plan.billed = dialect::is_billed(plan.operation);
  plan.withholds_usage = plan.stream && !scan->include_usage;
  return true;
}

}  // namespace

Nanos Plan::prompt_cost(const state::ChannelEntry& channel) const {
  if (!billed) return 0;
  price::Terms terms = hold.terms;
  terms.multiplier = channel.multiplier;
  price::TokenCounts counts;
  counts.input = hold.input_estimate;
  const Result<Nanos> cost = price::cost(*hold.row, counts, terms);
  return cost ? *cost : 0;
}

std::unique_ptr<Plan> make_plan(const Services& services, const Snapshot& snapshot,
                                const state::KeyRecord& key, const Request& request,
                                policy::Denial& denial, std::uint32_t first_model) {
  auto plan = std::make_unique<Plan>();
  if (!scan_body(services, request, *plan, denial)) return nullptr;
  if (const policy::Denial* denied = policy::check_specials(key, *plan->scan)) {
    denial = *denied;
    return nullptr;
  }
  if (!choose_route(services, snapshot, key, request, first_model, *plan, denial)) return nullptr;
  if (!plan->billed) return plan;
  if (!fill_terms(services, snapshot, key, request, *plan, denial)) return nullptr;
  if (!price_hold(services, key, *plan)) {
    denial = {ErrorKind::bad_request, "The request cannot be priced: it is too large.", ""};
    return nullptr;
  }
  return plan;
}

bool shrink_to(const Services& services, const state::KeyRecord& key, Plan& plan,
               Nanos affordable) {
  if (!plan.stream && key.on_low_balance != state::OnLowBalance::clamp) return false;
  if (plan.hold.slice == 0 || (plan.model->flags & state::kModelNoClamp) != 0) return false;
  const Result<Tokens> tokens =
      price::affordable_output(*plan.hold.row, plan.estimate, plan.hold.terms, affordable);
  if (!tokens || *tokens >= plan.hold.slice || *tokens < services.settings.slice.floor)
    return false;
  plan.hold.slice = *tokens;
  plan.estimate.output_tokens = *tokens;
  if (!plan.stream) {
    plan.output_cap = *tokens;
    plan.hold.output_cap = *tokens;
  }
  return price_hold(services, key, plan);
}

}  // namespace sluice::relay
