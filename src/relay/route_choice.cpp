#include "route_choice.hpp"

#include <cstring>

namespace sluice::relay {
namespace {

using dialect::ErrorKind;

class Chooser {
 public:
  Chooser(const Services& services, const Snapshot& snapshot, const state::KeyRecord& key,
          const Request& request, Plan& plan)
      : services_(services),
        snapshot_(snapshot),
        catalog_(*snapshot.catalog),
        key_(key),
        request_(request),
        plan_(plan) {}

  bool choose(std::uint32_t first_model, policy::Denial& denial) {
    note_session();
    const dialect::Route& route = request_.head.route;
    plan_.asked = dialect::model_in_body(route.operation) ? plan_.scan->model.view() : route.model;
    const state::Catalog::Named named = catalog_.find_name(plan_.asked);
    const bool group = named.group != nullptr && (named.group->flags & state::kRouteGroupEnabled);
    if (!group) {
      const policy::Denial* denied = policy::check_model(key_, catalog_, named.model, route.format);
      if (denied != nullptr) return refuse(*denied, denial);
    }
    if (!find_pin(denial)) return false;
    if (!group) {
      plan_.candidates = candidates_of(*named.model);
      plan_.model = named.model;
    } else if (!choose_in_group(*named.group, first_model)) {
      return refuse(*policy::check_model(key_, catalog_, nullptr, route.format), denial);
    }
    if (plan_.candidates.count > 0) return true;
    if (pinned_channel_ != 0) {
      return refuse(
          {ErrorKind::bad_request, "The chosen channel does not serve this model.", "model"},
          denial);
    }
    return refuse({ErrorKind::unavailable, "No provider serves this model at present.", "model"},
                  denial);
  }

 private:
  static bool refuse(const policy::Denial& reason, policy::Denial& denial) {
    denial = reason;
    return false;
  }

  // A request that names no session is drawn anew each time. Request ids count up: the mixing is
  // the choice's own.
  void note_session() {
    const RequestHeadFacts& head = request_.head;
    std::memcpy(&plan_.random, head.id.data() + sizeof plan_.random, sizeof plan_.random);
    const dialect::ValueSpan hint = plan_.scan->session_hint;
    if (head.wish.session != 0) {
      const auto* bytes = reinterpret_cast<const char*>(&head.wish.session);
      plan_.session = policy::session_hash({bytes, sizeof head.wish.session}, key_.key_id);
    } else if (hint.present()) {
      plan_.session =
          policy::session_hash(request_.body.view().substr(hint.offset, hint.size), key_.key_id);
    }
  }

  [[nodiscard]] policy::CandidateList candidates_of(const state::ModelEntry& model) const {
    return policy::choose_candidates({.catalog = catalog_,
                                      .health = {snapshot_.channel_health, snapshot_.key_health},
                                      .opened_keys = snapshot_.provider_keys,
                                      .session = plan_.session,
                                      .random = plan_.random,
                                      .pinned_channel = pinned_channel_,
                                      .now_ns = services_.reactor.now_ns()},
                                     model, request_.head.route.format);
  }

  /// The first model that the key may call, that speaks the client's format and that a provider
  /// serves now; else the first whose channels are all left alone. False when the key may call
  /// none.
  bool choose_in_group(const state::RouteGroupEntry& group, std::uint32_t first_model) {
    const auto indexes = catalog_.models_of(group);
    const bool whole = catalog_.group_in_set(key_.model_set, group);
    bool any = false;
    for (std::uint32_t i = first_model; i < indexes.size(); ++i) {
      const state::ModelEntry& model = catalog_.models()[indexes[i]];
      const auto format = static_cast<unsigned>(request_.head.route.format);
      const bool usable = (model.flags & state::kModelEnabled) != 0 &&
                          (model.formats & (1U << format)) != 0 &&
                          (whole || catalog_.model_in_set(key_.model_set, model));
      if (!usable) continue;
      any = true;
      const policy::CandidateList candidates = candidates_of(model);
      if (candidates.count == 0) continue;
      const bool in_use = candidates.reason != policy::RouteReason::last_way;
      if (plan_.candidates.count > 0 && !in_use) continue;
      plan_.candidates = candidates;
      plan_.model = &model;
      plan_.group = &group;
      plan_.next_model = i + 1;
      if (in_use) break;
    }
    return any;
  }

  bool find_pin(policy::Denial& denial) {
    const std::string_view pin = request_.head.wish.channel;
    if (pin.empty() && request_.head.wish.drill == 0) return true;
    if ((key_.flags & state::kKeyMayPin) == 0) {
      return refuse({ErrorKind::forbidden, "This API key may not choose its channel.", ""}, denial);
    }
    if (pin.empty()) return true;
    for (const state::ChannelEntry& channel : catalog_.channels()) {
      if (catalog_.text(channel.name) == pin) pinned_channel_ = channel.id;
    }
    if (pinned_channel_ != 0) return true;
    return refuse({ErrorKind::bad_request, "There is no such channel.", ""}, denial);
  }

  const Services& services_;
  const Snapshot& snapshot_;
  const state::Catalog& catalog_;
  const state::KeyRecord& key_;
  const Request& request_;
  Plan& plan_;
  std::uint32_t pinned_channel_ = 0;  ///< that the client has named, 0 = none
};

}  // namespace

bool choose_route(const Services& services, const Snapshot& snapshot, const state::KeyRecord& key,
                  const Request& request, std::uint32_t first_model, Plan& plan,
                  policy::Denial& denial) {
  return Chooser(services, snapshot, key, request, plan).choose(first_model, denial);
}

}  // namespace sluice::relay
