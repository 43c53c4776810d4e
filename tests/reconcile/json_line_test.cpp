#include "json_line.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace sluice::reconcile {
namespace {

TEST(JsonLine, ValuesOfEachKind) {
  std::string out = "before\n";
  JsonLine line(out);
  line.number("least", std::numeric_limits<std::int64_t>::min());
  line.flag("yes", true);
  line.flag("no", false);
  line.plain("empty", {});
  line.text("name", "a\"b\\c\t\xc3\xa9\xff\x7f");
  line.end();
  EXPECT_EQ(out,
            "before\n{\"least\":-9223372036854775808,\"yes\":true,\"no\":false,\"empty\":\"\","
            "\"name\":\"a\\\"b\\\\c\\u0009\xc3\xa9\xef\xbf\xbd\\u007f\"}\n");
}

TEST(JsonLine, NothingIsAnEmptyObject) {
  std::string out;
  JsonLine(out).end();
  EXPECT_EQ(out, "{}\n");
}

// Around the size of the line's own buffer, so that each kind of piece meets its end.
TEST(JsonLine, LinesOfAnyLength) {
  for (std::size_t bytes = 950; bytes < 1100; ++bytes) {
    const std::string value(bytes, 'x');
    std::string out;
    JsonLine line(out);
    line.plain("a", value);
    line.number("b", -1);
    line.text("c", value);
    line.flag("d", true);
    line.text("e", value + "\"");
    line.plain("f", value);
    line.end();
    EXPECT_EQ(out, "{\"a\":\"" + value + "\",\"b\":-1,\"c\":\"" + value + "\",\"d\":true,\"e\":\"" +
                       value + "\\\"\",\"f\":\"" + value + "\"}\n");
  }
}

}  // namespace
}  // namespace sluice::reconcile
