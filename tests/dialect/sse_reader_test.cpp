#include "sse_reader.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace sluice::dialect {
namespace {

/// What an EventSource would dispatch.
struct Recorder {
  std::vector<std::string> events;
  std::vector<std::string> names;
  std::string data, name;
  bool any = false;

  void data_line() {
    if (any) data += '\n';
    any = true;
  }
  void event_line() { name.clear(); }
  void event_name(std::string_view piece) { name += piece; }
  void dispatch() {
    events.push_back(data);
    names.push_back(name);
    data.clear();
    any = false;
  }
  void block_end() { name.clear(); }
};

struct Sink : Recorder {
  void data(std::string_view piece, const char*) { Recorder::data += piece; }
};

/// Reads `stream` in pieces of `size` bytes.
Sink read(std::string_view stream, std::size_t size, SseState* end_state = nullptr) {
  SseState state;
  Sink sink;
  for (std::size_t at = 0; at < stream.size(); at += size) {
    SseReader<Sink> reader(state, sink);
    const std::string_view piece = stream.substr(at, size);
    EXPECT_EQ(reader.read(piece, false), piece.size());
  }
  if (end_state != nullptr) *end_state = state;
  return sink;
}

using namespace std::string_literals;

struct SseCase {
  const char* name;
  std::string stream;
  std::vector<std::string> events;
};

/// From the web platform's event source tests: format-*.
std::vector<SseCase> cases() {
  const std::string filler(2048, 'x');
  return {
      {"comments",
       "data:1\r:\0\n:\r\ndata:2\n:"s + filler + "\rdata:3\n:data:fail\r:" + filler +
           "\ndata:4\n\n",
       {"1\n2\n3\n4"}},
      {"field-data", "data:\n\ndata\ndata\n\ndata:test\n\n", {"", "\n", "test"}},
      {"bom",
       "\xef\xbb\xbf"
       "data:1\n\ndata:2\n\ndata:3\n\n",
       {"1", "2", "3"}},
      {"bom-2",
       "\xef\xbb\xbf\xef\xbb\xbf"
       "data:1\n\ndata:2\n\ndata:3\n\n",
       {"2", "3"}},
      {"half a bom",
       "\xef\xbb"
       "data:1\n\ndata:2\n\n",
       {"2"}},
      {"field-unknown",
       "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
       {"test\n\ntest"}},
      {"field-parsing",
       "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\n"
       "data:3\rdata:\r\n data:32\ndata:4\n\n"s,
       {"\0\n 2\n1\n3\n\n4"s}},
      {"leading-space", "data:\ttest\rdata: \ndata:test\n\n", {"\ttest\n\ntest"}},
      {"newlines", "data:test\r\ndata\ndata:test\r\n\r\n", {"test\n\ntest"}},
      {"null-character", "data:\0\n\n\n\n"s, {"\0"s}},
      {"utf-8", "data:ok\xe2\x80\xa6\n\n", {"ok\xe2\x80\xa6"}},
      {"id with null, bad retry", "id:1\0x\nretry: 1x\ndata: a\n\n"s, {"a"}},
      {"data-before-final-empty-line", "retry:1000\ndata:test1\n\nid:test\ndata:test2", {"test1"}},
      {"no blank line", "data: a\n", {}},
      {"only CR", "data: a\r\rdata: b\r\r", {"a", "b"}},
      {"mixed", "data: a\r\n\rdata: b\n\r\ndata: c\r\r\n", {"a", "b", "c"}},
      {"empty blocks", "\n\n\r\r\r\n\r\ndata: a\n\n: c\n\nevent: x\n\n", {"a"}},
      {"space only once", "data:  x\n\n", {" x"}},
      {"long names", "datadatadata: 1\ndatas: 2\ndat: 3\ndata: 4\n\n", {"4"}},
  };
}

TEST(SseReader, FollowsTheStandardHoweverTheStreamIsCut) {
  for (const SseCase& c : cases()) {
    for (const std::size_t size : {c.stream.size(), std::size_t{1}, std::size_t{2}, std::size_t{3},
                                   std::size_t{7}, std::size_t{33}}) {
      EXPECT_EQ(read(c.stream, size).events, c.events) << c.name << " in pieces of " << size;
    }
  }
}

TEST(SseReader, ReadsEventNames) {
  const Sink sink =
      read("event: a\nevent:b\ndata: 1\n\nevent: c\n\ndata: 2\n\nevent\ndata: 3\n\n", 1);
  EXPECT_EQ(sink.names, (std::vector<std::string>{"b", "", ""}));
}

TEST(SseReader, KnowsWhereAnEventMayBeInserted) {
  const std::string_view stream = "data: a\n\n: c\n\ndata: b\n";
  const std::string_view open =
      "111111110111"
      "10"
      "11111111";
  for (std::size_t size = 1; size <= stream.size(); ++size) {
    SseState state;
    Sink sink;
    SseReader<Sink>(state, sink).read(stream.substr(0, size), false);
    EXPECT_EQ(state.event_open, open[size - 1] == '1') << size;
  }
}

TEST(SseReader, StopsAfterABlockWhenAsked) {
  SseState state;
  Sink sink;
  SseReader<Sink> reader(state, sink);
  const std::string_view stream = "data: a\r\n\r\ndata: b\n\n";
  EXPECT_EQ(reader.read(stream, true), 11U);
  EXPECT_TRUE(reader.stopped());
  EXPECT_EQ(reader.read(stream.substr(11), true), 9U);
  EXPECT_EQ(reader.read("data: c", true), 7U);
  EXPECT_FALSE(reader.stopped());
}

}  // namespace
}  // namespace sluice::dialect
