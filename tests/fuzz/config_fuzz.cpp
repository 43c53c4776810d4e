// Configuration files: taken, or refused in one line that names the file.
#include "fuzz.hpp"
#include "sluice/app/config.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text = fuzz::text_of(data, size);
  std::string message;
  const auto config = app::parse_config(text, "fuzz.toml", message);
  fuzz::check(config.has_value() == message.empty(), "a refusal has a reason", text, message);
  if (config) {
    fuzz::check(config->edge.shards >= 1 && !config->edge.listeners.empty(), "values are in range",
                text);
    return 0;
  }
  fuzz::check(message.starts_with("fuzz.toml"), "it names the file", text, message);
  const bool one_line =
      std::ranges::none_of(message, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  fuzz::check(one_line, "it is one line", text, message);
  return 0;
}
