// Makes a spill directory with durable objects for the tests of the commands that look into one:
// durable_objects DIR [hold]. Prints the ids; with `hold`, keeps the directory open until standard
// input ends.
#include <cstdio>
#include <string>
#include <vector>

#include "glog/logging.h"
#include "store/object_store.h"
#include "store/open_store.h"
#include "store/options.h"

int main(int argc, char** argv) {
  CHECK(argc == 2 || argc == 3) << "durable_objects DIR [hold]";
  FLAGS_logtostderr = true;
  google::InitGoogleLogging(argv[0]);
  spillway::StoreOptions options;
  options.memory_limit_bytes = 32 * spillway::kMiB;
  options.spill_directory = argv[1];
  options.recovery = spillway::SpillRecovery::kKeep;
  auto store = spillway::OpenStore(options).value();
  const auto put = [&](const std::string& bytes, const std::string& name) {
    spillway::PutOptions put_options;
    put_options.durable = true;
    put_options.replace = !name.empty();
    if (!name.empty()) put_options.name = name;
    auto ref = store->PutRaw(bytes, spillway::ObjectType{}, put_options).value();
    std::printf("%s\n", spillway::ToString(ref.id()).c_str());
    return ref;
  };
  auto small = put("small bytes", "small");
  CHECK(store->Bind("also\nsmall", small).ok());
  put(std::string(300000, 'L') + "large", "large");
  put("without a name", "");
  std::fflush(stdout);
  if (argc == 3) {
    while (std::getchar() != EOF) {
    }
  }
  CHECK(store->Close().ok());
  return 0;
}
