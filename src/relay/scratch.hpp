// Big objects that a request needs only between two suspensions: one a shard, never held across a
// co_await.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "sluice/dialect/error_body.hpp"
#include "sluice/dialect/request_scan.hpp"
#include "sluice/http/limits.hpp"
#include "sluice/http/request.hpp"
#include "sluice/http/response.hpp"
#include "sluice/net/stream.hpp"

namespace sluice::relay {

struct Scratch {
  http::RequestParser request_parser;
  http::ResponseParser response_parser;
  std::array<char, http::kMaxHeadBytes> head_text{};
  std::array<char, http::Limits{}.target_bytes> path_text{};
  std::array<iovec, net::Stream::kSendPieces> pieces{};
  std::array<char, dialect::kErrorBodyBytes> error_text{};
  std::uint32_t questions = 0;  ///< to the reconciler that are not answered yet
  std::string refusal_text;     ///< what a Refusal's message may refer to until it is rendered
};

}  // namespace sluice::relay
