// One function a noun: adds its verbs to the command line.
#pragma once

#include "session.hpp"

namespace sluice::cli {

void add_customer_verbs(Parser& parser, Session& session);
void add_key_verbs(Parser& parser, Session& session);
void add_credit_verbs(Parser& parser, Session& session);
void add_wallet_verbs(Parser& parser, Session& session);
void add_provider_verbs(Parser& parser, Session& session);
void add_channel_verbs(Parser& parser, Session& session);
void add_model_verbs(Parser& parser, Session& session);
void add_route_group_verbs(Parser& parser, Session& session);
void add_price_verbs(Parser& parser, Session& session);
void add_secret_verbs(Parser& parser, Session& session);
void add_usage_verbs(Parser& parser, Session& session);
void add_drill_verbs(Parser& parser, Session& session);
void add_apply_verb(Parser& parser, Session& session);
void add_check_verb(Parser& parser, Session& session);
void add_up_verb(Parser& parser, Session& session);

/// USD, or "none".
[[nodiscard]] std::string budget_text(Nanos amount);
[[nodiscard]] std::string count_text(std::int64_t count);

}  // namespace sluice::cli
