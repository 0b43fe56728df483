#pragma once

#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "cuda/driver.h"
#include "cuda/region.h"
#include "cuda/standin.h"
#include "support/bytes.h"

namespace weightcast::test {

/// A function of the stand-in driver, in the library that the code under test has loaded.
template <typename Function>
Function* standin_function(const char* name) {
  void* library = dlopen(STANDIN_CUDA, RTLD_LAZY | RTLD_LOCAL);
  void* found = library == nullptr ? nullptr : dlsym(library, name);
  EXPECT_NE(found, nullptr) << name;
  return reinterpret_cast<Function*>(found);
}
#define STANDIN(function) ::weightcast::test::standin_function<decltype(::function)>(#function)

/// The stand-ins in the place of NVIDIA's driver and of libibverbs; before either is loaded.
inline void use_standins() {
  setenv("WEIGHTCAST_CUDA_LIB", STANDIN_CUDA, 1);
  setenv("WEIGHTCAST_IBVERBS_LIB", STANDIN_VERBS, 1);
}

inline std::string standin_report_text() {
  std::string text(STANDIN(standin_report)(nullptr, 0), '\0');
  (void)STANDIN(standin_report)(text.data(), text.size());
  return text;
}

/// Tests with the stand-in driver: each ends with nothing alive and no misuse of the driver, unless it says so.
class StandinTest : public testing::Test {
 protected:
  void SetUp() override {
    use_standins();
    STANDIN(standin_reset)();
    auto driver = cuda::load_driver();
    ASSERT_TRUE(driver.ok()) << driver.status().message;
    driver_ = driver.value();
  }
  void TearDown() override {
    STANDIN(standin_refuse)(nullptr, 0, 0);
    EXPECT_EQ(STANDIN(standin_alive)(), 0) << standin_report_text();
    EXPECT_EQ(STANDIN(standin_faults)(), expected_faults_) << standin_report_text();
  }

  int expected_faults_ = 0;
  cuda::DriverPtr driver_;
};

/// A mapping of `count` chunks of 2 MiB on device 0 at consecutive addresses, as PyTorch's expandable segments are.
class Chunks {
 public:
  static constexpr std::size_t kChunk = std::size_t{2} << 20U;

  Chunks(cuda::DriverPtr driver, std::size_t count) : driver_(std::move(driver)), count_(count) {
    cuda::AllocationProperties properties{};
    properties.type = cuda::AllocationType::kPinned;
    properties.location = {.type = cuda::LocationType::kDevice, .id = 0};
    properties.flags.gpu_direct_rdma_capable = 1;
    EXPECT_EQ(driver_->mem_address_reserve(&base_, count * kChunk, 0, 0, 0), cuda::Code::kSuccess);
    for (std::size_t i = 0; i < count; ++i) {
      cuda::AllocationHandle handle = 0;
      EXPECT_EQ(driver_->mem_create(&handle, kChunk, &properties, 0), cuda::Code::kSuccess);
      EXPECT_EQ(driver_->mem_map(base_ + i * kChunk, kChunk, 0, handle, 0), cuda::Code::kSuccess);
      EXPECT_EQ(driver_->mem_release(handle), cuda::Code::kSuccess);
    }
    const cuda::AccessDescription access{.location = properties.location, .flags = cuda::AccessFlags::kReadWrite};
    EXPECT_EQ(driver_->mem_set_access(base_, count * kChunk, &access, 1), cuda::Code::kSuccess);
  }
  ~Chunks() {
    (void)driver_->mem_unmap(base_, count_ * kChunk);
    (void)driver_->mem_address_free(base_, count_ * kChunk);
  }
  Chunks(const Chunks&) = delete;
  Chunks& operator=(const Chunks&) = delete;
  [[nodiscard]] cuda::DevicePointer base() const { return base_; }
  [[nodiscard]] std::size_t bytes() const { return count_ * kChunk; }

 private:
  cuda::DriverPtr driver_;
  std::size_t count_;
  cuda::DevicePointer base_ = 0;
};

/// Device 0's primary context, current on this thread: for tests that call the driver themselves.
class CurrentContext {
 public:
  explicit CurrentContext(cuda::DriverPtr driver, int device = 0) : driver_(std::move(driver)), device_(device) {
    cuda::Context context = nullptr;
    EXPECT_EQ(driver_->device_primary_ctx_retain(&context, device_), cuda::Code::kSuccess);
    EXPECT_EQ(driver_->ctx_push_current(context), cuda::Code::kSuccess);
  }
  ~CurrentContext() {
    cuda::Context context = nullptr;
    (void)driver_->ctx_pop_current(&context);
    (void)driver_->device_primary_ctx_release(device_);
  }
  CurrentContext(const CurrentContext&) = delete;
  CurrentContext& operator=(const CurrentContext&) = delete;

 private:
  cuda::DriverPtr driver_;
  int device_;
};

}  // namespace weightcast::test
