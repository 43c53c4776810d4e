// What a reconciler is made of. Private to reconciler*.cpp: one file starts and leaves
// (reconciler_start.cpp), one takes its turns (reconciler_turn.cpp), one answers questions
// (reconciler_answers.cpp).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "channel_watch.hpp"
#include "drain.hpp"
#include "episode.hpp"
#include "epoch_start.hpp"
#include "idem_keeper.hpp"
#include "json_line.hpp"
#include "notice_sender.hpp"
#include "notice_watch.hpp"
#include "offer_keeper.hpp"
#include "publisher.hpp"
#include "question_socket.hpp"
#include "record_files.hpp"
#include "record_line.hpp"
#include "sluice/reconcile/reconciler.hpp"
#include "slot_keeper.hpp"
#include "span_exporter.hpp"

namespace sluice::reconcile {

struct Reconciler::Impl {
  Impl(const Options& options_in, const Clock& clock_in) : options(options_in), clock(clock_in) {}

  Result<> start(std::string& message);
  Result<> open_parts(std::string& message);
  void wait_for_addresses();
  Result<> mark_epoch(bool clean);
  void leave();
  void leave_in_order();
  void set_limits();
  void begin_serving();

  Result<> step();
  Result<> drain_step();
  Result<> publish_step();
  Result<> every_second();
  void every_minute();
  void hand_on(std::span<const state::OutboxRow> rows);
  Result<> notice_step();
  void take_refused();
  void tell_admission();
  Result<> check_broken();
  Result<> judge(Episode& episode, const Error& error, std::string_view what, TimeNs& next_ns);
  Result<> judge(Episode& episode, const Result<>& done, std::string_view what,
                 std::string_view again);
  bool drain_all(TimeNs limit_ns);
  std::string answer(const Question& question);
  bool answer_request(const Question& question, JsonLine& line);
  [[nodiscard]] TimeNs next_due_ns() const;
  [[nodiscard]] std::string ledger_words() const {
    return ledger->last_error().empty() ? std::string() : ": " + ledger->last_error();
  }

  const Options options;
  const Clock& clock;
  std::optional<state::EnvironmentLock> lock;
  std::unique_ptr<ledger::Ledger> ledger;
  std::unique_ptr<RecordFiles> records;
  std::optional<RecordNames> names;
  Started started;
  std::optional<Drain> drain;
  std::optional<SlotKeeper> slots;
  std::optional<IdemKeeper> idem;
  std::optional<Publisher> publisher;
  std::unique_ptr<QuestionSocket> questions;
  std::unique_ptr<SpanExporter> spans;
  std::optional<NoticeWatch> notice_watch;
  std::optional<ChannelWatch> channel_watch;
  std::unique_ptr<NoticeSender> notices;
  std::optional<OfferKeeper> offers;

  Episode drain_trouble, publish_trouble, slot_trouble, notice_trouble, offer_trouble;
  bool notices_known = false;  ///< the sender has all that wait in the ledger
  TimeNs next_drain_ns = 0, next_look_ns = 0, next_slots_ns = 0, next_expire_ns = 0,
         next_house_ns = 0;
  std::uint64_t named_catalog = 0;
  bool map_full = false;
};

}  // namespace sluice::reconcile
