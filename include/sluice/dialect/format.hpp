// The formats that clients speak and the operations of each.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::dialect {

/// A family of wire shapes: it decides how errors, pings and model lists look.
enum class Format : std::uint8_t { openai, responses, claude, gemini };

/// What a request asks for. The operation implies its format.
enum class Operation : std::uint8_t {
  openai_chat,
  openai_completions,
  openai_embeddings,
  openai_responses,
  claude_messages,
  claude_count_tokens,
  gemini_generate,
  gemini_stream_generate,
  gemini_count_tokens,
  gemini_embed,
  list_models,           ///< of any format: see Route::format
  get_model,             ///< of any format: see Route::format
  account_balance,       ///< /v1/sluice/balance
  account_request,       ///< /v1/sluice/requests/{id}
  billing_subscription,  ///< what desktop clients ask below /dashboard/billing
  billing_usage,
  billing_grants,
};

/// The format that an operation belongs to; `openai` for the model lists, whose format the route
/// holds.
[[nodiscard]] Format format_of(Operation operation);

/// True for what the gateway answers itself, about the account of the key.
[[nodiscard]] bool is_account(Operation operation);

/// True where the caller's wallet pays: false for token counts and model lists (design §12).
[[nodiscard]] bool is_billed(Operation operation);

/// True where the request body names the model (false for Gemini: there it is in the path).
[[nodiscard]] bool model_in_body(Operation operation);

/// Lower-case names for logs and metrics.
[[nodiscard]] std::string_view to_string(Format format);
[[nodiscard]] std::string_view to_string(Operation operation);

}  // namespace sluice::dialect
