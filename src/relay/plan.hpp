// What a request is to become before any money moves: its model, its candidates, its price terms.
#pragma once

#include <memory>
#include <optional>

#include "hold.hpp"
#include "request.hpp"
#include "sluice/dialect/request_scan.hpp"
#include "sluice/policy/candidates.hpp"
#include "sluice/policy/key_policy.hpp"
#include "sluice/relay/services.hpp"
#include "sluice/ring/frame_pool.hpp"

namespace sluice::relay {

/// A scan that lives for one request.
struct PooledScan : dialect::RequestScan, ring::Pooled {};

struct Plan : ring::Pooled {
  std::unique_ptr<PooledScan> scan;  ///< until no request has to be made any more
  dialect::Operation operation = dialect::Operation::openai_chat;
  std::string_view asked;  ///< the name that the client has asked for; a view into scan or head
  const state::ModelEntry* model = nullptr;
  const state::RouteGroupEntry* group = nullptr;  ///< that was asked for, null = a model
  std::uint32_t next_model = 0;  ///< of the group: the one to try when this one fails
  policy::CandidateList candidates;
  std::uint64_t session = 0;  ///< hash of the client's session, 0 = it names none
  std::uint64_t random = 0;   ///< drawn for this request
  price::EstimateInput estimate;
  HoldTerms hold;
  Tokens output_cap = -1;  ///< ≥ 0: lower the client's cap to this (clamp)
  bool stream = false;
  bool billed = true;
  bool withholds_usage =
      false;  ///< the stream's usage report is for us, the client did not ask for it

  /// Another model of the group may be left when all candidates have failed.
  [[nodiscard]] bool more_models() const { return group != nullptr && next_model < group->models; }
  /// What a provider may bill for the prompt alone, estimated.
  [[nodiscard]] Nanos prompt_cost(const state::ChannelEntry& channel) const;
};

/// Scans the body, applies the policy that needs no counter, chooses candidates and prices the
/// hold. The plan refers to the snapshot. A refusal is given by `denial`, whose text is static.
/// `first_model`: of a routing group, its models before this one were tried.
[[nodiscard]] std::unique_ptr<Plan> make_plan(const Services& services, const Snapshot& snapshot,
                                              const state::KeyRecord& key, const Request& request,
                                              policy::Denial& denial,
                                              std::uint32_t first_model = 0);

/// Fits the plan to `affordable` nanos: a smaller first slice of a stream, a lower cap of a whole
/// answer where the key wants that. False when not even the floor fits.
[[nodiscard]] bool shrink_to(const Services& services, const state::KeyRecord& key, Plan& plan,
                             Nanos affordable);

}  // namespace sluice::relay
