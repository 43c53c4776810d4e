// The corpus of inputs on which HTTP servers have disagreed: each must be refused, accepted or
// waited for as its line says, wherever the bytes are cut.
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <regex>
#include <string>
#include <vector>

#include "mutate.hpp"
#include "session.hpp"

namespace sluice::http {
namespace {

struct Vector {
  std::string id;
  std::string bytes;
  std::string verdict;
};

int hex_digit(char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; }

std::string unescape(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    switch (text.at(++i)) {
      case 'r':
        out += '\r';
        break;
      case 'n':
        out += '\n';
        break;
      case 't':
        out += '\t';
        break;
      case '\\':
        out += '\\';
        break;
      case 'x':
        out += static_cast<char>(hex_digit(text.at(i + 1)) * 16 + hex_digit(text.at(i + 2)));
        i += 2;
        break;
      default:
        ADD_FAILURE() << "unknown escape in " << text;
    }
  }
  return out;
}

/// Undoes the escapes and repeats what stands in {x*N}.
std::string decode(const std::string& text) {
  static const std::regex repeat(R"(\{([^{}]*)\*(\d+)\})");
  std::string out;
  auto from = text.begin();
  for (std::sregex_iterator it(text.begin(), text.end(), repeat), end; it != end; ++it) {
    out += unescape(std::string(from, (*it)[0].first));
    const std::string unit = unescape((*it)[1].str());
    for (int left = std::stoi((*it)[2].str()); left > 0; --left) out += unit;
    from = (*it)[0].second;
  }
  return out + unescape(std::string(from, text.end()));
}

std::vector<Vector> load() {
  std::vector<Vector> vectors;
  std::ifstream file(SLUICE_H1_VECTORS);
  for (std::string line; std::getline(file, line);) {
    if (line.empty() || line[0] == '#') continue;
    const std::size_t first = line.find('\t');
    const std::size_t second = line.find('\t', first + 1);
    const std::size_t third = line.find('\t', second + 1);
    vectors.push_back({line.substr(0, first), decode(line.substr(first + 1, second - first - 1)),
                       line.substr(second + 1, third - second - 1)});
  }
  return vectors;
}

const std::vector<Vector>& vectors() {
  static const std::vector<Vector> all = load();
  return all;
}

constexpr const char* kChat = "POST /v1/chat/completions";

/// What the inputs that are not refused outright amount to.
const std::map<std::string, std::string>& accepted() {
  const std::string json = std::string(kChat) + " 27 bytes; idle";
  const std::string models = "GET /v1/models 0 bytes; ";
  static const std::map<std::string, std::string> expected{
      {"CL20", json},
      {"TE26", json},
      {"TE33", json},
      {"TE34", "OPTIONS /v1/models 32 bytes; idle"},
      {"CH30", json},
      {"CH31", json},
      {"CH32", json},
      {"CH33", json},
      {"CH36", std::string(kChat) + " 27 bytes; refused 400"},
      {"CH39", std::string(kChat) + " waits for its body"},
      {"HD18", models + "idle"},
      {"RL14", "GET /v1/models%0d%0aX-Injected:%20true 0 bytes; idle"},
      {"RL25", models + "idle"},
      {"CS02", std::string(kChat) + " 32 bytes; idle"},
      {"CS03", models + models + "idle"},
      {"CS04", models + "closing, 32 bytes unread"},
      {"CS06", std::string(kChat) + " (100-continue) 27 bytes; idle"},
      {"CS10", models + "GET /admin 0 bytes; idle"},
      {"CS11", models + "idle"},
      {"CS13", std::string(kChat) + " waits for its body"},
  };
  return expected;
}

/// The statuses that a verdict allows: 400 for "R", and each number outside brackets.
std::vector<int> allowed_statuses(const std::string& verdict) {
  std::vector<int> statuses;
  if (verdict[0] == 'R') statuses.push_back(400);
  const std::string text = verdict.substr(0, verdict.find('('));
  for (std::size_t i = 0; i + 3 <= text.size(); ++i) {
    const bool number =
        std::all_of(text.begin() + static_cast<long>(i), text.begin() + static_cast<long>(i) + 3,
                    [](unsigned char c) { return std::isdigit(c) != 0; });
    if (number) statuses.push_back(std::stoi(text.substr(i, 3)));
  }
  return statuses;
}

TEST(Vectors, AreAllThere) {
  EXPECT_EQ(vectors().size(), 160U);
  const auto must_refuse =
      std::count_if(vectors().begin(), vectors().end(),
                    [](const Vector& vector) { return vector.verdict[0] == 'R'; });
  EXPECT_EQ(must_refuse, 129);
}

TEST(Vectors, HaveTheirVerdictWhole) {
  for (const Vector& vector : vectors()) {
    SCOPED_TRACE(vector.id + " " + vector.verdict);
    const std::string outcome = run_session({vector.bytes});
    const auto known = accepted().find(vector.id);
    if (known != accepted().end()) {
      EXPECT_NE(vector.verdict[0], 'R');
      EXPECT_EQ(outcome, known->second);
      continue;
    }
    ASSERT_TRUE(outcome.starts_with("refused ") || outcome.find("; refused ") != std::string::npos)
        << outcome;
    const int status = std::stoi(outcome.substr(outcome.rfind(' ')));
    const std::vector<int> allowed = allowed_statuses(vector.verdict);
    // CS01 asks for one response at most, and a GET with a body is refused by house rule.
    if (vector.id == "CS01") {
      EXPECT_EQ(status, 400);
    } else {
      EXPECT_NE(std::find(allowed.begin(), allowed.end(), status), allowed.end()) << outcome;
    }
    EXPECT_EQ(outcome.find("refused"), outcome.rfind("refused"));
    // Refused before anything is passed on, or in the body of the one request.
    if (outcome.starts_with("refused ")) continue;
    EXPECT_EQ(std::count(outcome.begin(), outcome.end(), ';'), 1) << outcome;
  }
}

TEST(Vectors, DoNotChangeOneByteAtATime) {
  for (const Vector& vector : vectors()) {
    std::vector<std::string> bytes;
    for (const char c : vector.bytes) bytes.emplace_back(1, c);
    EXPECT_EQ(run_session(bytes), run_session({vector.bytes})) << vector.id;
  }
}

/// Bytes up to which the verdict may depend on them: the end where nothing is refused.
std::size_t verdict_bytes(const Vector& vector) {
  Session session;
  for (std::size_t i = 0; i < vector.bytes.size(); ++i) {
    session.receive({vector.bytes[i]});
    if (session.over()) return i + 1;
  }
  return vector.bytes.size();
}

TEST(Vectors, DoNotChangeCutAnywhere) {
  std::size_t cuts = 0;
  for (const Vector& vector : vectors()) {
    const std::string whole = run_session({vector.bytes});
    const std::size_t last = std::min(verdict_bytes(vector) + 1, vector.bytes.size());
    for (std::size_t cut = 1; cut < last; ++cut, ++cuts) {
      // Of what lies behind the verdict a little is enough: the long ones have 80 KB of it.
      const std::string outcome =
          run_session({vector.bytes.substr(0, cut), vector.bytes.substr(cut, last + 64 - cut)});
      ASSERT_EQ(outcome, whole) << vector.id << " cut at " << cut;
    }
  }
  EXPECT_GT(cuts, 37'000U);
}

TEST(Vectors, DoNotChangeWithTheCutWhenMutated) {
  std::mt19937 random(mutation_seed());
  Limits small;  // so that limits and wrong bytes meet
  small.head_bytes = 200;
  small.target_bytes = 24;
  small.fields = 4;
  small.body_bytes = 60;
  for (int round = 0; round < mutation_rounds(); ++round) {
    for (const Vector& vector : vectors()) {
      if (vector.bytes.size() > 1000) continue;
      std::string text = vector.bytes;
      for (unsigned edits = 1 + random() % 3; edits > 0 && !text.empty(); --edits) {
        text = mutate(text, random);
      }
      if (text.empty()) continue;
      const Limits limits = random() % 2 == 0 ? small : Limits();
      const std::string whole = run_session({text}, limits);
      std::vector<std::string> bytes;
      for (const char c : text) bytes.emplace_back(1, c);
      ASSERT_EQ(run_session(bytes, limits), whole) << testing::PrintToString(text);
      const std::size_t cut = random() % text.size();
      ASSERT_EQ(run_session({text.substr(0, cut), text.substr(cut)}, limits), whole)
          << cut << " " << testing::PrintToString(text);
    }
  }
}

}  // namespace
}  // namespace sluice::http
