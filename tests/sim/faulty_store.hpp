// The real store of a shard with something wrong in it: calls that fail, as a store may, and
// planted faults, which no store should have and the simulator must find.
#pragma once

#include <vector>

#include "sluice/state/environment.hpp"
#include "sluice/state/tables.hpp"
#include "stage.hpp"

namespace sluice::sim {

class FaultyTables final : public state::Tables {
 public:
  void begin(state::Tables& inner, Fault fault, std::uint32_t write_fault_at) {
    inner_ = &inner;
    fault_ = fault;
    write_fault_at_ = write_fault_at;
    writes_ = 0;
  }
  [[nodiscard]] Result<state::ByteSpan> get(state::Table table, state::ByteSpan key) override;
  [[nodiscard]] Result<> put(state::Table table, state::ByteSpan key,
                             state::ByteSpan value) override;
  [[nodiscard]] Result<bool> erase(state::Table table, state::ByteSpan key) override;
  [[nodiscard]] Result<state::Row> seek(state::Table table, state::ByteSpan key) override;
  [[nodiscard]] Result<std::byte*> in_place(state::Table table, state::ByteSpan key,
                                            std::size_t bytes) override {
    return inner_->in_place(table, key, bytes);
  }
  [[nodiscard]] bool idem_room() override { return inner_->idem_room(); }
  /// With a fault each row is written at once, so that every write can be the one.
  [[nodiscard]] state::OpenRows* open_rows() override;

 private:
  [[nodiscard]] bool write_fails();
  [[nodiscard]] bool drops(state::Table table, state::ByteSpan key, state::ByteSpan value);
  state::Tables* inner_ = nullptr;
  Fault fault_ = Fault::none;
  std::uint32_t write_fault_at_ = 0;
  std::uint32_t writes_ = 0;
};

class FaultyStore final : public state::Store {
 public:
  explicit FaultyStore(state::Environment& environment)
      : environment_(environment), inner_(environment.store()) {}

  /// Of the next turn.
  void arm(StoreFault store_fault, std::uint32_t write_fault_at, Fault fault);

  [[nodiscard]] Result<state::Tables*> begin() override;
  [[nodiscard]] Result<> commit() override;
  void abort() override { inner_.abort(); }
  /// As the store itself says it, but without its memory of 100 ms of real time.
  [[nodiscard]] bool crowded() override;
  [[nodiscard]] Result<std::optional<state::HoldRecord>> find_hold(
      const state::HoldId& id) override {
    return inner_.find_hold(id);
  }
  [[nodiscard]] Result<state::SlotRecord> find_slot(state::SlotId slot) override {
    return inner_.find_slot(slot);
  }

 private:
  state::Environment& environment_;
  state::Store& inner_;
  FaultyTables tables_;
  StoreFault store_fault_ = StoreFault::none;
  std::uint32_t write_fault_at_ = 0;
  Fault fault_ = Fault::none;
};

}  // namespace sluice::sim
