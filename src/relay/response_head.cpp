#include "response_head.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <memory>

#include "field_lines.hpp"
#include "scratch.hpp"
#include "sluice/http/writer.hpp"

namespace sluice::relay {
namespace {

// Fields of an upstream's answer that reach the client. Limits and cookies of the operator's own
// account do not.
bool is_forwarded(const http::FieldView& field) {
  switch (field.id) {
    case http::Field::content_type:
    case http::Field::retry_after:
    case http::Field::x_should_retry:
      return true;
    case http::Field::none:
      return http::equal_ignoring_case(field.name, "cache-control") ||
             http::equal_ignoring_case(field.name, "retry-after-ms") ||
             http::equal_ignoring_case(field.name, "openai-processing-ms") ||
             http::equal_ignoring_case(field.name, "openai-version");
    default:
      return false;
  }
}

// Seconds, or a date (RFC 9110 §10.2.3); some providers say milliseconds apart. A date is
// compared with our clock.
TimeNs retry_after_of(const http::ResponseHead& head, TimeNs realtime_ns) {
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const http::FieldView field = head.field(i);
    if (field.id != http::Field::none || !http::equal_ignoring_case(field.name, "retry-after-ms"))
      continue;
    std::uint32_t ms = 0;
    const char* end = field.value.data() + field.value.size();
    if (std::from_chars(field.value.data(), end, ms).ec == std::errc{}) return ms * kMillisecond;
  }
  const std::string_view text = head.value(http::Field::retry_after);
  if (text.empty()) return 0;
  std::uint32_t seconds = 0;
  const auto read = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (read.ec == std::errc{} && read.ptr == text.data() + text.size()) return seconds * kSecond;
  std::tm date{};
  const std::string copy(text);
  if (strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &date) == nullptr) return 0;
  return std::max<TimeNs>(timegm(&date) * kSecond - realtime_ns, 0);
}

ResponseFacts copy_facts(const http::ResponseHead& head, TimeNs realtime_ns) {
  ResponseFacts facts;
  facts.status = head.status();
  facts.framing = head.framing();
  facts.content_length = head.content_length();
  facts.keep_alive = head.keep_alive();
  constexpr std::string_view kEventStream = "text/event-stream";
  facts.event_stream = http::equal_ignoring_case(
      head.value(http::Field::content_type).substr(0, kEventStream.size()), kEventStream);
  const std::string_view encoding = head.value(http::Field::content_encoding);
  facts.encoded = !encoding.empty() && !http::equal_ignoring_case(encoding, "identity");
  facts.forwarded = chosen_lines(head, is_forwarded);
  if (facts.status >= 400) facts.retry_after_ns = retry_after_of(head, realtime_ns);
  return facts;
}

// RFC 9110 §5.6.7, made once a second.
std::string_view date_text(TimeNs realtime_ns) {
  thread_local std::time_t made_for = -1;
  thread_local char text[32];
  thread_local std::size_t bytes = 0;
  const std::time_t now_s = realtime_ns / kSecond;
  if (now_s != made_for) {
    std::tm utc{};
    gmtime_r(&now_s, &utc);
    bytes = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
    made_for = now_s;
  }
  return {text, bytes};
}

// For a browser that opens an address of ours: by TLS only from now on, and what an answer says it
// is, which a model has filled, is not to be guessed again.
void write_browser_lines(http::HeadWriter& writer, TimeNs hsts_ns) {
  writer.checked_lines("x-content-type-options: nosniff\r\n");
  if (hsts_ns <= 0) return;
  char seconds[20];
  const char* const end = std::to_chars(seconds, seconds + sizeof seconds, hsts_ns / kSecond).ptr;
  writer.field("strict-transport-security", "max-age=",
               {seconds, static_cast<std::size_t>(end - seconds)});
}

void write_own_time(http::HeadWriter& writer, TimeNs own_ns) {
  // Milliseconds with three digits behind the point (Server-Timing, W3C).
  constexpr std::string_view kStart = "server-timing: gateway;dur=";
  char text[kStart.size() + 32];
  char* at = std::copy(kStart.begin(), kStart.end(), text);
  at = std::to_chars(at, text + sizeof text, own_ns / kMillisecond).ptr;
  *at++ = '.';
  const auto micros = static_cast<unsigned>(own_ns % kMillisecond / kMicrosecond);
  *at++ = static_cast<char>('0' + micros / 100);
  *at++ = static_cast<char>('0' + micros / 10 % 10);
  *at++ = static_cast<char>('0' + micros % 10);
  *at++ = '\r';
  *at++ = '\n';
  writer.checked_lines({text, static_cast<std::size_t>(at - text)});
}

}  // namespace

ring::Task<Result<ResponseFacts>> read_response_head(Services& services, net::Stream& upstream,
                                                     http::Method method, SlowResponse& slow,
                                                     TimeNs deadline_ns) {
  constexpr http::Limits kLimits = http::Limits::upstream();
  for (;;) {
    Result<ring::Piece> received = co_await upstream.receive(deadline_ns);
    if (!received) {
      if (slow && received.error().code == Errc::closed) {
        co_return fail(Errc::truncated, Source::upstream);
      }
      co_return std::unexpected(received.error());
    }
    ring::Piece piece = std::move(*received);
    std::span<const char> bytes = piece.view();
    http::ResponseParser& parser = slow ? slow->parser : services.scratch->response_parser;
    if (slow) {
      slow->bytes.append(piece.view());
      bytes = slow->bytes.view();
    } else {
      parser.reset(method);
    }
    const Result<http::HeadStatus> status = parser.parse(bytes, kLimits);
    if (!status) co_return std::unexpected(status.error());
    if (*status == http::HeadStatus::complete) {
      ResponseFacts facts = copy_facts(parser.head(bytes), services.reactor.realtime_ns());
      piece.drop_front(piece.size() - (bytes.size() - parser.head_bytes()));
      upstream.unread(std::move(piece));
      co_return facts;
    }
    if (!slow) slow = make_slow(std::string_view(piece.view().data(), piece.size()), parser);
  }
}

Result<Body> write_client_head(Services& services, const RequestHeadFacts& request,
                               const ClientHead& head) {
  http::HeadWriter writer(services.scratch->head_text);
  writer.status_line(head.status);
  writer.field(http::Field::date, date_text(request.received_realtime_ns));
  writer.checked_lines(head.forwarded);
  if (!head.content_type.empty()) writer.field(http::Field::content_type, head.content_type);
  const RequestIdText id = to_text(request.id);
  writer.field(http::Field::x_request_id, {id.data(), id.size()});
  if (request.route.format == dialect::Format::claude) {
    writer.field(http::Field::request_id, {id.data(), id.size()});
  }
  if (head.own_ns >= 0) write_own_time(writer, head.own_ns);
  write_lines(writer, head.extra);
  if (request.secure) write_browser_lines(writer, services.settings.clients.hsts_ns);
  if (head.framing == BodyFraming::chunked) writer.transfer_encoding_chunked();
  if (head.framing == BodyFraming::length) writer.content_length(head.content_length);
  if (!head.keep_alive) {
    writer.connection_close();
  } else if (head.http_1_0) {
    writer.connection_keep_alive();
  }
  const Result<std::size_t> bytes = writer.finish();
  if (!bytes) return std::unexpected(bytes.error());
  Body text(*bytes + head.room);
  SLUICE_ASSERT(text.append({services.scratch->head_text.data(), *bytes}, *bytes));
  return text;
}

}  // namespace sluice::relay
