#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/runtime.h"
#include "spill/memory_backend.h"

namespace spillway {
namespace {

TEST(TaskTest, Smoke) {
  auto store = ObjectStore::Open(StoreOptions(), NewMemoryBackend()).value();
  auto runtime = Runtime::Start(RuntimeOptions(), std::move(store)).value();
  ObjectRef<int> one = runtime->Submit([] { return 1; });
  ObjectRef<int> two = runtime->Submit([](int a, int b) { return a + b; }, one, 1);
  EXPECT_EQ(*two.Get().value(), 2);
}

}  // namespace
}  // namespace spillway
