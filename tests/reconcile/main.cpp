// The tests, or with --child the process that they kill.
#include <gtest/gtest.h>

#include <string_view>

namespace sluice::reconcile {
int crash_child(const char* state_directory, const char* disk);
}

int main(int argc, char** argv) {
  if (argc == 4 && std::string_view(argv[1]) == "--child")
    return sluice::reconcile::crash_child(argv[2], argv[3]);
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
