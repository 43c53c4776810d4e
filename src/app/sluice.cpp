// sluice: the operator's command line.
#include "cli/verbs.hpp"

int main(int argc, char** argv) {
  sluice::cli::Parser parser;
  sluice::cli::Session session(parser.globals());
  sluice::cli::add_up_verb(parser, session);
  sluice::cli::add_apply_verb(parser, session);
  sluice::cli::add_check_verb(parser, session);
  sluice::cli::add_customer_verbs(parser, session);
  sluice::cli::add_wallet_verbs(parser, session);
  sluice::cli::add_credit_verbs(parser, session);
  sluice::cli::add_key_verbs(parser, session);
  sluice::cli::add_provider_verbs(parser, session);
  sluice::cli::add_channel_verbs(parser, session);
  sluice::cli::add_model_verbs(parser, session);
  sluice::cli::add_route_group_verbs(parser, session);
  sluice::cli::add_price_verbs(parser, session);
  sluice::cli::add_secret_verbs(parser, session);
  sluice::cli::add_usage_verbs(parser, session);
  sluice::cli::add_drill_verbs(parser, session);
  return parser.run(argc, argv);
}
