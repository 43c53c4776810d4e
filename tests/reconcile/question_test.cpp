// The read-only socket, and the records' files.
#include "question_socket.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <thread>

#include "node.hpp"
#include "record_files.hpp"

namespace sluice::reconcile {
namespace {

TEST(Question, OnlyTheTwoFormsAreTaken) {
  EXPECT_EQ(parse_question(R"({"ask":"lag"})").kind, Question::Kind::lag);
  EXPECT_EQ(parse_question(R"({"ask":"wallet","id":7})").id, 7U);
  for (const char* bad : {"", "{", "[]", R"({"ask":"lag","id":1})", R"({"ask":"wallet"})",
                          R"({"ask":"wallet","id":-1})", R"({"ask":"wallet","id":"7"})",
                          R"({"ask":"wallet","id":7,"x":1})", R"({"ask":7})", R"({"ask":"lag"} x)",
                          R"({"ask":"WALLET","id":7})"}) {
    EXPECT_EQ(parse_question(bad).kind, Question::Kind::unknown) << bad;
  }
}

class QuestionTest : public Node {};

TEST_F(QuestionTest, AnswersWhileItRuns) {
  const Account account = add_account("acme", 7 * kNanosPerUsd);
  start();
  int stop[2];
  ASSERT_EQ(pipe(stop), 0);
  std::string answers;
  std::thread client([&] {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = state_.path() + "/reconciler.sock";
    std::memcpy(address.sun_path, path.data(), path.size());
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
      const std::string text = "{\"ask\":\"wallet\",\"id\":" + std::to_string(account.wallet.id) +
                               "}\n{\"ask\":\"wallet\",\"id\":99}\n{\"ask\":\"lag\"}\nnonsense\n";
      if (send(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size())) {
        char bytes[4096];
        while (std::ranges::count(answers, '\n') < 4) {
          const ssize_t got = recv(fd, bytes, sizeof bytes, 0);
          if (got <= 0) break;
          answers.append(bytes, static_cast<std::size_t>(got));
        }
      }
    }
    close(fd);
    if (write(stop[1], "x", 1) != 1) abort();
  });
  EXPECT_TRUE(reconciler_->run(stop[0]));
  client.join();
  close(stop[0]);
  close(stop[1]);
  EXPECT_EQ(answers,
            "{\"wallet\":1,\"available\":7000000000,\"held\":0,\"charged\":0,\"excess\":0,"
            "\"applied_no\":1}\n"
            "{\"error\":\"no such wallet\"}\n"
            "{\"rows\":0,\"nanos\":0,\"age_ms\":0,\"epoch\":1,\"published\":" +
                std::to_string(*books_->catalog().published(1)) +
                "}\n{\"error\":\"unknown question\"}\n");
  struct stat info{};
  ASSERT_EQ(stat((state_.path() + "/reconciler.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660U);
}

TEST(RecordFiles, RotateByDayAndSize) {
  TemporaryDirectory directory(std::filesystem::temp_directory_path().string());
  ManualClock clock(1'800'000'000 * kSecond);  // 2027-01-15
  std::string message;
  auto files = RecordFiles::open(directory.path() + "/records", 100, clock, message);
  ASSERT_TRUE(files) << message;
  const auto add = [&] {
    (*files)->buffer() += std::string(79, 'x') + "\n";
    (*files)->flush_and_wait();
  };
  add();
  add();
  add();
  clock.advance(86'400 * kSecond);
  add();
  const auto size = [&](const std::string& name) {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(directory.path() + "/records/" + name, error);
    return error ? 0 : bytes;
  };
  EXPECT_EQ(size("records-20270115.jsonl"), 160U);
  EXPECT_EQ(size("records-20270115-1.jsonl"), 80U);
  EXPECT_EQ(size("records-20270116.jsonl"), 80U);
  EXPECT_EQ((*files)->dropped_bytes(), 0U);
}

TEST(RecordFiles, DirectoryThatCannotBeWrittenIsOneLine) {
  std::string message;
  EXPECT_FALSE(RecordFiles::open("/proc/none", 100, system_clock(), message));
  EXPECT_NE(message.find("/proc/none"), std::string::npos);
}

}  // namespace
}  // namespace sluice::reconcile
