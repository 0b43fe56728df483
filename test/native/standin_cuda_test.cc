// The stand-in for NVIDIA's driver: that it refuses what it must. What it let pass would pass here and fail on a GPU.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstring>
#include <optional>

#include "support/standin.h"

namespace weightcast::test {
namespace {

using cuda::Code;
using cuda::DevicePointer;

constexpr std::size_t kBlock = std::size_t{2} << 20U;

class StandinCuda : public StandinTest {
 protected:
  void SetUp() override {
    StandinTest::SetUp();
    context_.emplace(driver_);
  }
  void TearDown() override {
    context_.reset();
    StandinTest::TearDown();
  }
  DevicePointer allocate(std::size_t bytes) {
    DevicePointer pointer = 0;
    EXPECT_EQ(driver_->mem_alloc(&pointer, bytes), Code::kSuccess);
    return pointer;
  }
  Code export_range(DevicePointer address, std::size_t bytes, std::uint64_t flags = 0) {
    int descriptor = -1;
    const Code code = driver_->mem_get_handle_for_address_range(&descriptor, address, bytes,
                                                                cuda::RangeHandleType::kDmabufDescriptor, flags);
    if (code == Code::kSuccess) close(descriptor);
    return code;
  }
  std::optional<CurrentContext> context_;
};

TEST_F(StandinCuda, AddressesCannotBeLoaded) {
  const DevicePointer pointer = allocate(4096);
  const pid_t child = fork();
  if (child == 0) {
    // A sanitizer's handler would turn the signal into an exit status.
    signal(SIGSEGV, SIG_DFL);
    const auto byte = *reinterpret_cast<volatile char*>(pointer);
    _exit(byte == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
}

TEST_F(StandinCuda, CallsNeedAContext) {
  context_.reset();
  DevicePointer pointer = 0;
  EXPECT_EQ(driver_->mem_alloc(&pointer, 4096), Code::kInvalidContext);
  cuda::Stream stream = nullptr;
  EXPECT_EQ(driver_->stream_create(&stream, 0), Code::kInvalidContext);
  expected_faults_ = 2;
}

TEST_F(StandinCuda, AContextIsNotReleasedMoreOftenThanRetained) {
  EXPECT_EQ(driver_->device_primary_ctx_release(1), Code::kInvalidContext);
  expected_faults_ = 1;
}

TEST_F(StandinCuda, MemoryIsFreedOnceAndFromItsBegin) {
  const DevicePointer pointer = allocate(4096);
  EXPECT_EQ(driver_->mem_free(pointer + 512), Code::kInvalidValue);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kInvalidValue);
  expected_faults_ = 2;
}

TEST_F(StandinCuda, SmallAllocationsShareABlock) {
  const DevicePointer one = allocate(100);
  const DevicePointer other = allocate(100);
  EXPECT_EQ(one % 512, 0U);
  EXPECT_EQ(one / kBlock, other / kBlock);
  EXPECT_NE(one, other);
  EXPECT_EQ(driver_->mem_free(one), Code::kSuccess);
  EXPECT_EQ(driver_->mem_free(other), Code::kSuccess);
}

TEST_F(StandinCuda, AnAddressComesAgainWithAnotherBufferId) {
  const auto id_at = [&](DevicePointer pointer) {
    std::uint64_t id = 0;
    EXPECT_EQ(driver_->pointer_get_attribute(&id, cuda::PointerAttribute::kBufferId, pointer), Code::kSuccess);
    return id;
  };
  const DevicePointer first = allocate(3 * kBlock);
  const std::uint64_t id = id_at(first);
  EXPECT_EQ(driver_->mem_free(first), Code::kSuccess);
  const DevicePointer second = allocate(3 * kBlock);
  EXPECT_EQ(second, first);
  EXPECT_NE(id_at(second), id);
  EXPECT_EQ(driver_->mem_free(second), Code::kSuccess);
}

TEST_F(StandinCuda, ACopyMayNotRunAfterItsMemoryOrLeaveIt) {
  const DevicePointer pointer = allocate(4096);
  cuda::Stream stream = nullptr;
  ASSERT_EQ(driver_->stream_create(&stream, 0), Code::kSuccess);
  std::array<char, 8192> host{};
  EXPECT_EQ(driver_->memcpy_dtoh_async(host.data(), pointer, 4097, stream), Code::kInvalidValue);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
  EXPECT_EQ(driver_->memcpy_htod_async(pointer, host.data(), 4096, stream), Code::kInvalidValue);
  EXPECT_EQ(driver_->stream_destroy(stream), Code::kSuccess);
  EXPECT_EQ(driver_->stream_destroy(stream), Code::kInvalidHandle);
  expected_faults_ = 3;
}

TEST_F(StandinCuda, DmabufsAreOfWholePagesOfOnePlace) {
  const DevicePointer pointer = allocate(kBlock);
  const DevicePointer neighbour = allocate(kBlock);
  EXPECT_EQ(export_range(pointer, 8192), Code::kSuccess);
  EXPECT_EQ(export_range(pointer + 512, 4096), Code::kInvalidValue);
  EXPECT_EQ(export_range(pointer, 5000), Code::kInvalidValue);
  EXPECT_EQ(export_range(pointer, kBlock + 4096), Code::kInvalidValue);
  EXPECT_EQ(export_range(pointer, 4096, 1), Code::kInvalidValue);
  const DevicePointer managed = STANDIN(standin_managed)(4096);
  EXPECT_EQ(export_range(managed, 4096), Code::kInvalidValue);
  for (const DevicePointer each : {pointer, neighbour, managed}) EXPECT_EQ(driver_->mem_free(each), Code::kSuccess);
  expected_faults_ = 5;
}

TEST_F(StandinCuda, AnOpenDmabufIsAlive) {
  const DevicePointer pointer = allocate(4096);
  const int before = STANDIN(standin_alive)();
  int descriptor = -1;
  ASSERT_EQ(driver_->mem_get_handle_for_address_range(&descriptor, pointer, 4096,
                                                      cuda::RangeHandleType::kDmabufDescriptor, 0),
            Code::kSuccess);
  EXPECT_EQ(STANDIN(standin_alive)(), before + 1);
  close(descriptor);
  EXPECT_EQ(STANDIN(standin_alive)(), before);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
}

TEST_F(StandinCuda, OfAVirtualMappingTheDriverNamesOneChunk) {
  const Chunks chunks(driver_, 3);
  DevicePointer base = 0;
  std::size_t bytes = 0;
  EXPECT_EQ(driver_->mem_get_address_range(&base, &bytes, chunks.base() + Chunks::kChunk + 5), Code::kSuccess);
  EXPECT_EQ(base, chunks.base() + Chunks::kChunk);
  EXPECT_EQ(bytes, Chunks::kChunk);
  EXPECT_EQ(export_range(chunks.base() + 4096, chunks.bytes() - 4096), Code::kSuccess);
  EXPECT_EQ(export_range(chunks.base() + 4096, chunks.bytes()), Code::kInvalidValue);
  EXPECT_EQ(driver_->mem_address_free(chunks.base(), chunks.bytes()), Code::kInvalidValue);
  expected_faults_ = 2;
}

TEST_F(StandinCuda, WhatIsRegisteredIsNotFreedAndWaitsForCopies) {
  const DevicePointer pointer = allocate(4096);
  const std::uint64_t key = STANDIN(standin_register)(pointer, 4096, 0);  // without SYNC_MEMOPS
  EXPECT_EQ(STANDIN(standin_faults)(), 1);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
  EXPECT_EQ(STANDIN(standin_faults)(), 2);
  STANDIN(standin_deregister)(key);
  STANDIN(standin_deregister)(key);
  expected_faults_ = 3;
}

TEST_F(StandinCuda, FunctionsAreAskedForInTheirPresentForm) {
  void* library = dlopen(STANDIN_CUDA, RTLD_LAZY);
  const auto get = reinterpret_cast<cuda::GetProcAddressFn>(dlsym(library, "cuGetProcAddress"));
  void* function = nullptr;
  EXPECT_EQ(get("cuMemAlloc", &function, 3020, 0), Code::kSuccess);
  EXPECT_EQ(function, dlsym(library, "cuMemAlloc_v2"));
  EXPECT_EQ(get("cuMemAlloc", &function, 2000, 0), Code::kNotFound);
  STANDIN(standin_mode)("version", 11060);
  EXPECT_EQ(get("cuMemGetHandleForAddressRange", &function, 11070, 0), Code::kNotFound);
  dlclose(library);
  expected_faults_ = 1;
}

TEST_F(StandinCuda, AnIpcHandleIsNotForTheProcessThatMadeIt) {
  const DevicePointer pointer = allocate(4096);
  cuda::IpcMemHandle handle{};
  EXPECT_EQ(driver_->ipc_get_mem_handle(&handle, pointer + 100), Code::kSuccess);
  DevicePointer opened = 0;
  EXPECT_EQ(driver_->ipc_open_mem_handle(&opened, handle, cuda::kIpcLazyEnablePeerAccess), Code::kInvalidContext);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
}

TEST_F(StandinCuda, AnotherProcessOpensMemoryOnceAndOnlyWhileItIsThere) {
  const DevicePointer kept = allocate(kBlock);
  const DevicePointer freed = allocate(kBlock);
  std::array<cuda::IpcMemHandle, 2> handles{};
  EXPECT_EQ(driver_->ipc_get_mem_handle(&handles[0], kept), Code::kSuccess);
  EXPECT_EQ(driver_->ipc_get_mem_handle(&handles[1], freed), Code::kSuccess);
  EXPECT_EQ(driver_->mem_free(freed), Code::kSuccess);
  const DevicePointer next = allocate(kBlock);  // with the descriptor that the freed one had
  const pid_t child = fork();
  if (child == 0) {
    const auto open = [&](DevicePointer& pointer, const cuda::IpcMemHandle& handle) {
      return driver_->ipc_open_mem_handle(&pointer, handle, cuda::kIpcLazyEnablePeerAccess);
    };
    DevicePointer first = 0;
    DevicePointer second = 0;
    if (open(first, handles[0]) != Code::kSuccess || open(second, handles[0]) != Code::kSuccess) _exit(1);
    if (first != second) _exit(2);
    if (open(second, handles[1]) != Code::kInvalidHandle) _exit(3);
    for (int i = 0; i < 2; ++i) {
      if (driver_->ipc_close_mem_handle(first) != Code::kSuccess) _exit(4);
    }
    _exit(driver_->ipc_close_mem_handle(first) == Code::kInvalidValue ? 0 : 5);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
  for (const DevicePointer each : {kept, next}) EXPECT_EQ(driver_->mem_free(each), Code::kSuccess);
}

TEST_F(StandinCuda, AStreamIsOfOneDevice) {
  const DevicePointer pointer = allocate(4096);
  std::array<char, 64> host{};
  cuda::Stream stream = nullptr;
  cuda::Event event = nullptr;
  ASSERT_EQ(driver_->stream_create(&stream, 0), Code::kSuccess);
  {
    const CurrentContext other(driver_, 1);
    EXPECT_EQ(driver_->memcpy_htod_async(pointer, host.data(), host.size(), stream), Code::kInvalidHandle);
    EXPECT_EQ(driver_->memcpy_dtoh_async(host.data(), pointer, host.size(), stream), Code::kInvalidHandle);
    ASSERT_EQ(driver_->event_create(&event, 0), Code::kSuccess);
  }
  EXPECT_EQ(driver_->event_record(event, stream), Code::kInvalidHandle);
  EXPECT_EQ(driver_->event_destroy(event), Code::kSuccess);
  EXPECT_EQ(driver_->stream_destroy(stream), Code::kSuccess);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
  expected_faults_ = 3;
}

TEST_F(StandinCuda, ACallIsRefusedWhenAsked) {
  DevicePointer pointer = 0;
  STANDIN(standin_refuse)("cuMemAlloc", static_cast<int>(Code::kOutOfMemory), 2);
  EXPECT_EQ(driver_->mem_alloc(&pointer, 4096), Code::kSuccess);
  DevicePointer none = 0;
  EXPECT_EQ(driver_->mem_alloc(&none, 4096), Code::kOutOfMemory);
  EXPECT_EQ(none, 0U);
  EXPECT_EQ(STANDIN(standin_calls)("cuMemAlloc"), 2);
  EXPECT_EQ(driver_->mem_free(pointer), Code::kSuccess);
}

}  // namespace
}  // namespace weightcast::test
