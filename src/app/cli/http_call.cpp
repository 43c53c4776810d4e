#include "http_call.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <memory>
#include <string_view>

namespace sluice::cli {
namespace {

constexpr std::size_t kKeptBytes = 64 * kKiB;

std::size_t take_body(char* bytes, std::size_t size, std::size_t count, void* context) {
  auto& answer = *static_cast<HttpAnswer*>(context);
  const std::size_t all = size * count;
  answer.body.append(bytes, std::min(all, kKeptBytes - answer.body.size()));
  return all;
}

std::size_t take_field(char* bytes, std::size_t size, std::size_t count, void* context) {
  constexpr std::string_view kName = "x-request-id: ";
  std::string_view line(bytes, size * count);
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (line.starts_with(kName))
    static_cast<HttpAnswer*>(context)->request_id = line.substr(kName.size());
  return size * count;
}

struct EndHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct EndList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

}  // namespace

Outcome<HttpAnswer> call(const HttpCall& call) {
  const std::unique_ptr<CURL, EndHandle> handle(curl_easy_init());
  std::unique_ptr<curl_slist, EndList> headers;
  for (const std::string& line : call.headers) {
    curl_slist* longer = curl_slist_append(headers.get(), line.c_str());
    if (longer == nullptr) return problem(Errc::full, "no memory for a request");
    static_cast<void>(headers.release());
    headers.reset(longer);
  }
  if (!handle) return problem(Errc::full, "no memory for a request");
  HttpAnswer answer;
  CURL* const curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, call.url.c_str());
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(call.body.size()));
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, call.body.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");  // the gateway itself is asked
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(call.most_ns / kMillisecond));
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_field);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &answer);
  const CURLcode done = curl_easy_perform(curl);
  if (done != CURLE_OK)
    return problem(Errc::unreachable, call.url + ": " + curl_easy_strerror(done));
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &answer.status);
  curl_off_t first_us = 0;
  curl_off_t total_us = 0;
  curl_easy_getinfo(curl, CURLINFO_STARTTRANSFER_TIME_T, &first_us);
  curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME_T, &total_us);
  answer.first_byte_ns = first_us * kMicrosecond;
  answer.total_ns = total_us * kMicrosecond;
  return answer;
}

}  // namespace sluice::cli
