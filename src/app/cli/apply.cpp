#include "sluice/control/apply.hpp"

#include <fmt/format.h>

#include <cstdio>

#include "verbs.hpp"

namespace sluice::cli {
namespace {

Outcome<std::string> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "re"),
                                                             &std::fclose);
  if (file == nullptr) return problem(Errc::not_found, path + ": cannot be read");
  std::string text;
  char buffer[4096];
  for (std::size_t bytes = 0; (bytes = std::fread(buffer, 1, sizeof buffer, file.get())) > 0;) {
    text.append(buffer, bytes);
    if (text.size() > 16 * kMiB) return problem(Errc::too_large, path + ": longer than 16 MiB");
  }
  return text;
}

Outcome<> apply_file(Session& session, const std::string& path) {
  auto text = read_file(path);
  if (!text) return std::unexpected(text.error());
  auto service = session.service_with_secrets();
  if (!service) return std::unexpected(service.error());
  (*service)->actor += " apply " + path;
  auto report = control::apply_toml(**service, *text, path);
  if (!report) return std::unexpected(report.error());
  std::vector<Record> changes;
  for (const control::AppliedChange& change : report->changes) {
    Record record{{"noun", change.noun}, {"name", change.name}, {"action", change.action}};
    if (session.json()) {
      if (!change.secret.empty()) record.push_back({"key", change.secret});
    } else {
      record.push_back({"key", change.secret});
    }
    changes.push_back(std::move(record));
  }
  print_record_with(
      session.json(),
      {{"changed", static_cast<std::int64_t>(changes.size())}, {"unchanged", report->unchanged}},
      "changes", changes);
  std::fflush(stdout);
  return session.wait_visible();
}

}  // namespace

void add_apply_verb(Parser& parser, Session& session) {
  auto path = std::make_shared<std::string>();
  parser
      .verb("", "apply",
            "creates or updates what a TOML file says; applying it again changes nothing")
      .argument("file", "TOML file", *path)
      .runs([&session, path] { return apply_file(session, *path); });
}

}  // namespace sluice::cli
