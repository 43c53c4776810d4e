// Forks actors. A process of its own that opens nothing, so that no actor inherits a database or an
// environment of the simulator.
#pragma once

#include <string>

#include "stage.hpp"

namespace sluice::sim {

/// Maps the stage and starts the zygote. To be called first of all in main(). Ends the program when
/// it cannot.
[[nodiscard]] Stage& raise_stage();

/// Starts an actor at a free seat.
void fork_actor(Stage& stage, std::uint32_t seat, Role role);

enum class StepEnd : std::uint8_t { answered, paused, died };
/// Lets the actor carry out its command (or go on with the one it paused in), and waits. An actor
/// that neither answers nor dies within 30 s is killed and counts as `died` with `hung` set.
[[nodiscard]] StepEnd run_step(Seat& seat, bool& hung);
/// kill -9, and waits until the kernel has taken everything back. Harmless for an empty seat.
void kill_actor(Seat& seat);
/// Whether the actor died of anything but SIGKILL or a want of memory that was made: an assertion,
/// a sanitizer, a bug.
[[nodiscard]] bool died_by_itself(const Seat& seat, std::string& how);

}  // namespace sluice::sim
