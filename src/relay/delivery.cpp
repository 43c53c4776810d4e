#include "delivery.hpp"

#include <array>
#include <string>

#include "scratch.hpp"
#include "sluice/base/assert.hpp"
#include "sluice/http/writer.hpp"

namespace sluice::relay {
namespace {

constexpr std::string_view kStreamType = "content-type: text/event-stream\r\n";
constexpr std::string_view kArrayType = "content-type: application/json\r\n";

iovec piece_of(std::string_view text) { return {const_cast<char*>(text.data()), text.size()}; }

}  // namespace

Result<Body> Delivery::make_head(const ResponseFacts& response, BodyFraming framing, TimeNs own_ns,
                                 std::size_t room) {
  const bool keep_alive =
      request_.keep_alive && !services_.draining && framing != BodyFraming::until_close;
  Result<Body> head = write_client_head(services_, request_,
                                        {.status = response.status,
                                         .framing = framing,
                                         .content_length = response.content_length,
                                         .keep_alive = keep_alive,
                                         .http_1_0 = request_.http_1_0,
                                         .forwarded = response.forwarded.view(),
                                         .extra = limits_.view(),
                                         .own_ns = own_ns,
                                         .room = room});
  if (!head) return head;
  head_sent_ = true;
  framing_ = framing;
  reusable_ = keep_alive;
  return head;
}

void Delivery::note_sent(bool well) {
  last_sent_ns_ = services_.reactor.now_ns();
  if (!well) reusable_ = false;
}

Result<Body> Delivery::make_stream_head(const ResponseFacts* response) {
  ResponseFacts own;
  if (response == nullptr) {
    own.status = 200;
    const std::string_view type = request_.route.json_array ? kArrayType : kStreamType;
    SLUICE_ASSERT(own.forwarded.append(type, type.size()));
    response = &own;
  }
  return make_head(*response, request_.http_1_0 ? BodyFraming::until_close : BodyFraming::chunked,
                   -1, 0);
}

ring::Task<Result<>> Delivery::send_event(std::string_view text, const ResponseFacts* response) {
  Body head;
  if (!head_sent_) {
    Result<Body> made = make_stream_head(response);
    if (!made) co_return std::unexpected(made.error());
    head = std::move(*made);
  }
  std::array<char, http::kChunkHeadBytes> chunk_head{};
  std::array<iovec, 4> pieces{};
  std::size_t count = 0;
  if (head.size() > 0) pieces[count++] = piece_of(head.view());
  const bool chunked = framing_ == BodyFraming::chunked;
  if (chunked) {
    pieces[count++] = {chunk_head.data(), http::write_chunk_head(chunk_head, text.size())};
  }
  pieces[count++] = piece_of(text);
  if (chunked) pieces[count++] = piece_of(http::kChunkTail);
  const Result<> sent =
      co_await client_.send({pieces.data(), count}, services_.settings.write_stall_ns);
  note_sent(sent.has_value());
  co_return sent;
}

ring::Task<Result<>> Delivery::ping(const ResponseFacts* response) {
  // White space is all that may stand between the elements of an array.
  return send_event(request_.route.json_array ? std::string_view("\n")
                                              : dialect::render_ping(request_.route.format),
                    response);
}

std::string_view Delivery::error_event(dialect::ErrorKind kind, std::string_view message,
                                       bool at_boundary) const {
  const RequestIdText id = to_text(request_.id);
  const std::size_t bytes = dialect::render_stream_error(
      request_.route.format, kind,
      {.message = message, .request_id = {id.data(), id.size()}, .param = {}},
      {.at_boundary = at_boundary,
       .json_array = request_.route.json_array,
       .first_element = !begun_},
      services_.scratch->error_text);
  return {services_.scratch->error_text.data(), bytes};
}

ring::Task<> Delivery::send_error(dialect::ErrorKind kind, std::string_view message) {
  reusable_ = false;
  const std::string text(error_event(kind, message, true));
  // The body has no last chunk: a client that looks only at HTTP sees that it is not whole either.
  const Result<> sent = co_await send_event(text, nullptr);
  static_cast<void>(sent);
}

}  // namespace sluice::relay
