// Server-sent events against the algorithm of WHATWG HTML §9.2.6 over the whole text at once, cut
// in any way.
#include "fuzz.hpp"
#include "sse_reader.hpp"

namespace sluice::dialect {
namespace {

struct Sink {
  std::string log;
  std::string line_data;
  std::string name;
  bool any = false;

  void data_line() {
    if (any) line_data += '\n';
    any = true;
  }
  void data(std::string_view piece, const char*) { line_data += piece; }
  void event_line() { name.clear(); }
  void event_name(std::string_view piece) { name += piece; }
  void dispatch() {
    log += "event '" + name + "' '" + line_data + "'\n";
    line_data.clear();
    any = false;
  }
  void block_end() {
    log += "blank\n";
    name.clear();
  }
};

/// `by_event`: asked to stop after each event, as the relay does that withholds one.
std::string read(std::string_view text, const std::vector<std::size_t>& cuts, bool by_event) {
  SseState state;
  Sink sink;
  fuzz::for_pieces(text, cuts, [&](std::string_view piece) {
    while (!piece.empty()) {
      SseReader<Sink> reader(state, sink);
      const std::size_t used = reader.read(piece, by_event);
      fuzz::check(used > 0 && used <= piece.size(), "a read takes something");
      fuzz::check(by_event || used == piece.size(), "a read takes all");
      piece.remove_prefix(used);
    }
  });
  return sink.log;
}

std::string reference(std::string_view text) {
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  std::string log;
  std::string data;
  std::string name;
  bool any = false;
  while (!text.empty()) {
    const std::size_t end = text.find_first_of("\r\n");
    if (end == std::string_view::npos) break;  // a line without its end is none
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + (text.substr(end).starts_with("\r\n") ? 2 : 1));
    if (line.empty()) {
      if (any) log += "event '" + name + "' '" + data + "'\n";
      log += "blank\n";
      data.clear();
      name.clear();
      any = false;
      continue;
    }
    const std::size_t colon = line.find(':');
    const std::string_view field = line.substr(0, colon);
    std::string_view value =
        colon == std::string_view::npos ? std::string_view() : line.substr(colon + 1);
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") {
      if (any) data += '\n';
      any = true;
      data += value;
    } else if (field == "event") {
      name = value;
    }
  }
  return log;
}

}  // namespace
}  // namespace sluice::dialect

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sluice;
  const std::string_view text = fuzz::text_of(data, size);
  const std::string expected = dialect::reference(text);
  fuzz::check_same(dialect::read(text, {}, false), expected, "the events of the specification");
  fuzz::check_same(dialect::read(text, {}, true), expected, "also event by event");
  for (const auto& cuts : fuzz::ways_to_cut(text)) {
    fuzz::check_same(dialect::read(text, cuts, false), expected, "no cut changes an event");
    fuzz::check_same(dialect::read(text, cuts, true), expected, "nor event by event");
  }
  return 0;
}
