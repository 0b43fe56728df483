#include <gtest/gtest.h>

#include <cstdlib>

#include "verbs/context.h"
#include "verbs/library.h"

namespace weightcast::verbs {
namespace {

TEST(VerbsLibrary, AMissingFileSaysWhatToInstall) {
  auto library = load_library_file("/nowhere/libibverbs.so.1");
  ASSERT_FALSE(library.ok());
  EXPECT_EQ(library.status().code, Code::kRdmaUnavailable);
  EXPECT_NE(library.status().message.find("/nowhere/libibverbs.so.1"), std::string::npos) << library.status().message;
  EXPECT_NE(library.status().message.find("libibverbs1"), std::string::npos) << library.status().message;
}

TEST(VerbsLibrary, AnotherLibraryIsNamedWithTheSymbolThatItLacks) {
  auto library = load_library_file("libm.so.6");
  ASSERT_FALSE(library.ok());
  EXPECT_EQ(library.status().code, Code::kRdmaUnavailable);
  EXPECT_NE(library.status().message.find("libm"), std::string::npos) << library.status().message;
  EXPECT_NE(library.status().message.find("ibv_get_device_list"), std::string::npos) << library.status().message;
}

// Before the other tests of this process have loaded the real one: a success is kept.
TEST(VerbsLibrary, TheEnvironmentNamesTheFile) {
  setenv("WEIGHTCAST_IBVERBS_LIB", "/nowhere/other.so", 1);
  auto library = load_library();
  unsetenv("WEIGHTCAST_IBVERBS_LIB");
  if (library.ok()) GTEST_SKIP() << "the library was loaded by an earlier test";
  EXPECT_NE(library.status().message.find("/nowhere/other.so"), std::string::npos) << library.status().message;
}

TEST(VerbsLibrary, IsLoadedOnceAndStays) {
  auto library = load_library();
  if (!library.ok()) GTEST_SKIP() << library.status().message;
  EXPECT_NE(library.value()->path.find("libibverbs"), std::string::npos);
  EXPECT_NE(library.value()->get_device_list, nullptr);
  auto again = load_library();
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again.value(), library.value());
}

TEST(VerbsContext, NoRdmaIsAReasonAndAnUnknownDeviceIsNotFound) {
  auto names = device_names();
  auto context = Context::open("nothere0");
  ASSERT_FALSE(context.ok());
  if (names.ok()) {
    EXPECT_EQ(context.status().code, Code::kNotFound);
    return;
  }
  EXPECT_EQ(names.status().code, Code::kRdmaUnavailable);
  EXPECT_EQ(context.status().code, Code::kRdmaUnavailable);
  EXPECT_NE(names.status().message.find("RDMA is not available"), std::string::npos) << names.status().message;
}

}  // namespace
}  // namespace weightcast::verbs
