// sluice-mock: a provider's stand-in. See README.md for its options.
#include <sys/resource.h>

#include <charconv>
#include <cstdio>
#include <string>
#include <string_view>

#include "server.hpp"

namespace {

using sluice::mock::Behaviour;
using sluice::mock::ListenerKind;
using sluice::mock::Options;

constexpr std::string_view kUsage =
    "usage: sluice-mock [--listen ADDR:PORT]... [--control ADDR:PORT] [--default OPTIONS]\n"
    "                   [--listen-tls ADDR:PORT --cert PEM --cert-key PEM]\n"
    "                   [--model NAME=OPTIONS]... [--models A,B,...]\n"
    "                   [--as openai|anthropic|gemini|xai|mistral|qwen|deepseek|kimi|glm|minimax]\n"
    "                   [--require-key KEY] [--log FILE] [--records N] [--keep-bodies BYTES] "
    "[--keep-heads]\n"
    "OPTIONS are the dash-separated options of a model name, e.g. l5-c100-g20 (see "
    "src/app/mock/README.md).\n";

bool parse_number(std::string_view text, std::size_t& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc{} && end == text.data() + text.size();
}

void split(std::string_view text, char separator, auto&& each) {
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    each(part);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
}

bool parse_options(std::string_view text, Behaviour& defaults) {
  bool good = true;
  split(text, '-', [&](std::string_view word) { good = apply_option(word, defaults) && good; });
  return good;
}

/// Takes one option and its value. False = not understood.
bool take(std::string_view name, std::string_view value, Options& options) {
  if (name == "--listen") {
    options.listeners.push_back({ListenerKind::plain, std::string(value)});
  } else if (name == "--listen-tls") {
    options.listeners.push_back({ListenerKind::tls, std::string(value)});
  } else if (name == "--cert") {
    options.certificate_file = value;
  } else if (name == "--cert-key") {
    options.certificate_key_file = value;
  } else if (name == "--control") {
    options.listeners.push_back({ListenerKind::control, std::string(value)});
  } else if (name == "--default") {
    return parse_options(value, options.defaults);
  } else if (name == "--model") {
    const std::size_t equals = value.find('=');
    if (equals == std::string_view::npos) return false;
    Behaviour& named = options.named[std::string(value.substr(0, equals))];
    return parse_options(value.substr(equals + 1), named);
  } else if (name == "--models") {
    options.models.clear();
    split(value, ',', [&](std::string_view model) { options.models.emplace_back(model); });
    return !options.models.empty();
  } else if (name == "--as") {
    options.personality = sluice::mock::find_personality(value);
    return options.personality != nullptr;
  } else if (name == "--require-key") {
    options.required_key = value;
  } else if (name == "--log") {
    options.keep.log_file = value;
  } else if (name == "--records") {
    return parse_number(value, options.keep.records);
  } else if (name == "--keep-bodies") {
    return parse_number(value, options.keep.body_bytes);
  } else {
    return false;
  }
  return true;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--keep-heads") {
      options.keep.heads = true;
    } else if (name == "--help") {
      std::fputs(kUsage.data(), stdout);
      return 0;
    } else if (i + 1 < argc && take(name, argv[i + 1], options)) {
      ++i;
    } else {
      std::fprintf(stderr, "sluice-mock: cannot use '%s'\n%s", argv[i], kUsage.data());
      return 2;
    }
  }
  if (options.listeners.empty()) {
    options.listeners = {{ListenerKind::plain, "127.0.0.1:9001"},
                         {ListenerKind::control, "127.0.0.1:9002"}};
  }
  raise_descriptor_limit();
  sluice::mock::Server server(std::move(options));
  if (const std::string problem = server.open(); !problem.empty()) {
    std::fprintf(stderr, "sluice-mock: %s\n", problem.c_str());
    return 1;
  }
  std::printf("%s\n", server.addresses_json().c_str());
  std::fflush(stdout);
  server.run();
  return 0;
}
