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
  std::unique_ptr<PooledScan> scan;  ///< until the last candidate's request is made
  dialect::Operation operation = dialect::Operation::openai_chat;
  const state::ModelEntry* model = nullptr;
  policy::CandidateList candidates;
  price::EstimateInput estimate;
  HoldTerms hold;
  Tokens output_cap = -1;  ///< ≥ 0: lower the client's cap to this (clamp)
  bool stream = false;
  bool billed = true;
  bool withholds_usage =
      false;  ///< the stream's usage report is for us, the client did not ask for it
};

/// Scans the body, applies the policy that needs no counter, chooses candidates and prices the
/// hold. The plan refers to the snapshot. A refusal is given by `denial`, whose text is static.
[[nodiscard]] std::unique_ptr<Plan> make_plan(const Services& services, const Snapshot& snapshot,
                                              const state::KeyRecord& key, const Request& request,
                                              policy::Denial& denial);

/// Fits the plan to `affordable` nanos: a smaller first slice of a stream, a lower cap of a whole
/// answer where the key wants that. False when not even the floor fits.
[[nodiscard]] bool shrink_to(const Services& services, const state::KeyRecord& key, Plan& plan,
                             Nanos affordable);

}  // namespace sluice::relay
