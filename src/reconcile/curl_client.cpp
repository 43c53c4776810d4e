#include "curl_client.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>

namespace sluice::reconcile {
namespace {

constexpr long kConnectSeconds = 5;
constexpr long kTotalSeconds = 10;

struct FreeHandle {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using Handle = std::unique_ptr<CURL, FreeHandle>;
using List = std::unique_ptr<curl_slist, FreeList>;

size_t drop(char*, size_t size, size_t count, void*) { return size * count; }

int on_progress(void* stop, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Stop*>(stop)->load(std::memory_order_relaxed) ? 1 : 0;
}

List list_of(const std::vector<std::string>& texts) {
  curl_slist* list = nullptr;
  for (const std::string& text : texts) list = curl_slist_append(list, text.c_str());
  return List(list);
}

/// A handle that follows nobody, speaks only `protocols`, and ends in time.
Handle make_handle(const std::string& url, const char* protocols, const Stop& stop) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  Handle handle(curl_easy_init());
  if (!handle) return handle;
  CURL* const curl = handle.get();
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, protocols);
  curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_TIMEOUT, kTotalSeconds);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &drop);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &stop);
  return handle;
}

Result<> perform(CURL* curl) {
  switch (curl_easy_perform(curl)) {
    case CURLE_OK:
      return {};
    case CURLE_ABORTED_BY_CALLBACK:
      return fail(Errc::cancelled);
    case CURLE_LOGIN_DENIED:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_WEIRD_SERVER_REPLY:
      return fail(Errc::refused, Source::upstream, Retry::yes);
    default:
      return fail(Errc::unavailable, Source::upstream, Retry::yes);
  }
}

struct Reading {
  const std::string& text;
  std::size_t at = 0;
};

size_t read_message(char* to, size_t size, size_t count, void* context) {
  Reading& reading = *static_cast<Reading*>(context);
  const std::size_t bytes = std::min(size * count, reading.text.size() - reading.at);
  std::memcpy(to, reading.text.data() + reading.at, bytes);
  reading.at += bytes;
  return bytes;
}

}  // namespace

Result<int> post(const HttpPost& request, const Stop& stop) {
  const Handle handle = make_handle(request.url, "http,https", stop);
  if (!handle) return fail(Errc::full);
  const List headers = list_of(request.headers);
  curl_easy_setopt(handle.get(), CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(handle.get(), CURLOPT_POST, 1L);
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDS, request.body.data());
  curl_easy_setopt(handle.get(), CURLOPT_POSTFIELDSIZE_LARGE,
                   static_cast<curl_off_t>(request.body.size()));
  if (const Result<> done = perform(handle.get()); !done) return std::unexpected(done.error());
  long status = 0;
  curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
  return static_cast<int>(status);
}

Result<> send_mail(const MailServer& server, const std::string& from,
                   const std::vector<std::string>& to, const std::string& message,
                   const Stop& stop) {
  const Handle handle = make_handle(server.url, "smtp,smtps", stop);
  if (!handle) return fail(Errc::full);
  CURL* const curl = handle.get();
  const List recipients = list_of(to);
  Reading reading{message};
  curl_easy_setopt(curl, CURLOPT_USE_SSL, server.plain ? CURLUSESSL_TRY : CURLUSESSL_ALL);
  if (!server.user.empty()) {
    curl_easy_setopt(curl, CURLOPT_USERNAME, server.user.c_str());
    curl_easy_setopt(curl, CURLOPT_PASSWORD, server.password.c_str());
  }
  curl_easy_setopt(curl, CURLOPT_MAIL_FROM, from.c_str());
  curl_easy_setopt(curl, CURLOPT_MAIL_RCPT, recipients.get());
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, &read_message);
  curl_easy_setopt(curl, CURLOPT_READDATA, &reading);
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  return perform(curl);
}

}  // namespace sluice::reconcile
