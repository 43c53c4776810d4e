// From a request target to an operation, where its API key is, and the target of the same call
// upstream. Nothing here allocates.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

#include "sluice/base/error.hpp"
#include "sluice/dialect/format.hpp"
#include "sluice/dialect/inline_text.hpp"

namespace sluice::dialect {

/// Values of the headers that may carry a key; empty = absent. `anthropic_version` only tells the
/// three protocols apart that share /v1/models.
struct AuthHeaders {
  std::string_view authorization;
  std::string_view x_api_key;
  std::string_view x_goog_api_key;
  std::string_view api_key;  ///< Azure's spelling
  std::string_view anthropic_version;
};

enum class RouteVerdict : std::uint8_t {
  ok,
  not_found,           ///< 404: no such path
  method_not_allowed,  ///< 405: the path exists for another method
  not_offered,  ///< 404: a path of the protocol that this gateway does not serve (files, batches …)
  bad_target,   ///< 400: broken percent-encoding, empty or too long model name
};

/// What a target asks for. `format` is set whatever the verdict, so that a refusal has the right
/// shape.
struct Route {
  RouteVerdict verdict = RouteVerdict::not_found;
  Format format = Format::openai;
  Operation operation = Operation::openai_chat;
  bool stream = false;  ///< the path asks for a stream (Gemini); else the body's `stream` decides
  bool json_array = false;  ///< Gemini stream without alt=sse: one JSON array instead of SSE
  /// Gemini calls and get_model: the decoded model name; account_request: the request's id
  std::string model;
};

/// Routes one request. `path` is the target up to '?', `query` what follows it (without '?').
/// Allocates for a model name in the path of more than 15 bytes only. Never fails otherwise than by
/// the verdict.
[[nodiscard]] Route route(std::string_view method, std::string_view path, std::string_view query,
                          const AuthHeaders& headers);

/// The client's API key: x-api-key, Authorization: Bearer, x-goog-api-key, ?key=, api-key; the
/// first that is not empty. A view into the arguments; empty = none. A key in the query is not
/// percent-decoded.
[[nodiscard]] std::string_view find_api_key(const AuthHeaders& headers, std::string_view query);

/// The value of `name` in a query string (raw), or an empty view.
[[nodiscard]] std::string_view query_value(std::string_view query, std::string_view name);

struct UpstreamTarget {
  Operation operation = Operation::openai_chat;
  std::string_view
      base_path;           ///< of the channel, e.g. "/v1", "/api/paas/v4", "" for Claude, "/v1beta"
  std::string_view model;  ///< upstream's model name; used by Gemini only
  std::string_view query;  ///< the client's query; credentials in it are left out
};

/// Writes the origin-form target of the same operation upstream into `out` and returns its length.
/// A slash at the end of base_path is ignored; the model is percent-encoded (slashes stay). Errors:
/// too_large (does not fit), unsupported (model lists and accounts: answered
/// locally).
[[nodiscard]] Result<std::size_t> upstream_target(const UpstreamTarget& target,
                                                  std::span<char> out);

}  // namespace sluice::dialect
