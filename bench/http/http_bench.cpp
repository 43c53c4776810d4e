// What HTTP costs a request and a chunk, in the shapes that an AI gateway sees.
#include <benchmark/benchmark.h>

#include <array>
#include <string>

#include "sluice/http/body.hpp"
#include "sluice/http/request.hpp"
#include "sluice/http/response.hpp"
#include "sluice/http/writer.hpp"

namespace sluice::http {
namespace {

const std::string kRequest =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nContent-Type: "
    "application/json\r\n"
    "Authorization: Bearer sk-0123456789abcdef0123456789abcdef\r\nUser-Agent: bench/1.0\r\n"
    "Content-Length: 190\r\n\r\n";

// The fields that the official Python SDK sends.
const std::string kSdkRequest =
    "POST /v1/chat/completions HTTP/1.1\r\nHost: api.example\r\nAccept-Encoding: gzip, deflate\r\n"
    "Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    "User-Agent: OpenAI/Python 1.99.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version: "
    "1.99.0\r\n"
    "X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
    "X-Stainless-Runtime-Version: 3.11.2\r\nAuthorization: Bearer "
    "sk-0123456789abcdef0123456789abcdef\r\n"
    "X-Stainless-Async: false\r\nx-stainless-retry-count: 0\r\nx-stainless-read-timeout: 600\r\n"
    "Content-Length: 190\r\n\r\n";

const std::string kResponse =
    "HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
    "Content-Length: 412\r\nConnection: keep-alive\r\nx-request-id: req_0123456789abcdef\r\n\r\n";

void parse_request(benchmark::State& state, const std::string& text) {
  const Limits limits;
  RequestParser parser;
  for (auto _ : state) {
    parser.reset();
    auto status = parser.parse(text, limits);
    benchmark::DoNotOptimize(status);
    const RequestHead head = parser.head(text);
    auto key = head.value(Field::authorization);
    benchmark::DoNotOptimize(key);
  }
}
BENCHMARK_CAPTURE(parse_request, five_fields, kRequest);
BENCHMARK_CAPTURE(parse_request, sdk_17_fields, kSdkRequest);

void parse_request_by_byte(benchmark::State& state) {
  const Limits limits;
  RequestParser parser;
  for (auto _ : state) {
    parser.reset();
    for (std::size_t size = 1; size <= kRequest.size(); ++size) {
      auto status = parser.parse({kRequest.data(), size}, limits);
      benchmark::DoNotOptimize(status);
    }
  }
}
BENCHMARK(parse_request_by_byte);

void parse_response_and_rebuild(benchmark::State& state) {
  const Limits limits = Limits::upstream();
  ResponseParser parser;
  std::array<char, 1024> out{};
  for (auto _ : state) {
    parser.reset(Method::post);
    auto status = parser.parse(kResponse, limits);
    benchmark::DoNotOptimize(status);
    const ResponseHead head = parser.head(kResponse);
    HeadWriter writer(out);
    writer.status_line(head.status());
    writer.field(Field::content_type, head.value(Field::content_type));
    writer.field(Field::x_request_id, head.value(Field::x_request_id));
    writer.content_length(head.content_length());
    auto size = writer.finish();
    benchmark::DoNotOptimize(size);
  }
}
BENCHMARK(parse_response_and_rebuild);

void write_request(benchmark::State& state) {
  std::array<char, 1024> out{};
  for (auto _ : state) {
    HeadWriter writer(out);
    writer.request_line(Method::post, "/v1/chat/completions");
    writer.field(Field::host, "api.provider.example");
    writer.field(Field::authorization, "Bearer ", "sk-0123456789abcdef0123456789abcdef");
    writer.field(Field::content_type, "application/json");
    writer.field(Field::accept_encoding, "identity");
    writer.content_length(190);
    auto size = writer.finish();
    benchmark::DoNotOptimize(size);
  }
}
BENCHMARK(write_request);

void decode_chunks(benchmark::State& state) {
  const auto payload = static_cast<std::size_t>(state.range(0));
  std::array<char, kChunkHeadBytes> head{};
  std::string text;
  for (int i = 0; i < 64; ++i) {
    text.append(head.data(), write_chunk_head(head, payload));
    text.append(payload, 'x').append(kChunkTail);
  }
  for (auto _ : state) {
    BodyDecoder decoder(Framing::chunked, 0, UINT64_MAX, Source::upstream);
    for (std::span<const char> rest = text; !rest.empty();) {
      auto step = decoder.next(rest);
      benchmark::DoNotOptimize(step);
      rest = rest.subspan(step->consumed_bytes);
    }
  }
  state.SetItemsProcessed(state.iterations() * 64);
}
BENCHMARK(decode_chunks)->Arg(1)->Arg(160)->Arg(4096);

}  // namespace
}  // namespace sluice::http

BENCHMARK_MAIN();
