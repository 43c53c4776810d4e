#include "sluice/dialect/format.hpp"

namespace sluice::dialect {

Format format_of(Operation operation) {
  switch (operation) {
    case Operation::openai_responses:
      return Format::responses;
    case Operation::claude_messages:
    case Operation::claude_count_tokens:
      return Format::claude;
    case Operation::gemini_generate:
    case Operation::gemini_stream_generate:
    case Operation::gemini_count_tokens:
    case Operation::gemini_embed:
      return Format::gemini;
    case Operation::openai_chat:
    case Operation::openai_completions:
    case Operation::openai_embeddings:
    case Operation::list_models:
    case Operation::get_model:
    case Operation::account_balance:
    case Operation::account_request:
    case Operation::billing_subscription:
    case Operation::billing_usage:
    case Operation::billing_grants:
      return Format::openai;
  }
  return Format::openai;
}

bool is_account(Operation operation) { return operation >= Operation::account_balance; }

bool is_billed(Operation operation) {
  switch (operation) {
    case Operation::claude_count_tokens:
    case Operation::gemini_count_tokens:
    case Operation::list_models:
    case Operation::get_model:
      return false;
    default:
      return !is_account(operation);
  }
}

bool model_in_body(Operation operation) {
  switch (operation) {
    case Operation::openai_chat:
    case Operation::openai_completions:
    case Operation::openai_embeddings:
    case Operation::openai_responses:
    case Operation::claude_messages:
    case Operation::claude_count_tokens:
      return true;
    default:
      return false;
  }
}

std::string_view to_string(Format format) {
  switch (format) {
    case Format::openai:
      return "openai";
    case Format::responses:
      return "responses";
    case Format::claude:
      return "claude";
    case Format::gemini:
      return "gemini";
  }
  return "unknown";
}

std::string_view to_string(Operation operation) {
  switch (operation) {
    case Operation::openai_chat:
      return "openai_chat";
    case Operation::openai_completions:
      return "openai_completions";
    case Operation::openai_embeddings:
      return "openai_embeddings";
    case Operation::openai_responses:
      return "openai_responses";
    case Operation::claude_messages:
      return "claude_messages";
    case Operation::claude_count_tokens:
      return "claude_count_tokens";
    case Operation::gemini_generate:
      return "gemini_generate";
    case Operation::gemini_stream_generate:
      return "gemini_stream_generate";
    case Operation::gemini_count_tokens:
      return "gemini_count_tokens";
    case Operation::gemini_embed:
      return "gemini_embed";
    case Operation::list_models:
      return "list_models";
    case Operation::get_model:
      return "get_model";
    case Operation::account_balance:
      return "account_balance";
    case Operation::account_request:
      return "account_request";
    case Operation::billing_subscription:
      return "billing_subscription";
    case Operation::billing_usage:
      return "billing_usage";
    case Operation::billing_grants:
      return "billing_grants";
  }
  return "unknown";
}

}  // namespace sluice::dialect
