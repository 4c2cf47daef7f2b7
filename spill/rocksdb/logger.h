// RocksDB's messages, into glog. RocksDB's own log file would fill a full disk further and, in
// builds with assertions on, end the process when it cannot be written.
#ifndef SPILLWAY_SPILL_ROCKSDB_LOGGER_H_
#define SPILLWAY_SPILL_ROCKSDB_LOGGER_H_

#include <cstdarg>

#include "rocksdb/env.h"
#include "spill/internal/log_limiter.h"

namespace spillway::internal {

// Warnings and errors are logged, at most ten lines in ten seconds; everything else only with
// --v=2.
class RocksDbLogger final : public rocksdb::Logger {
 public:
  RocksDbLogger() : Logger(rocksdb::InfoLogLevel::WARN_LEVEL) {}

  using rocksdb::Logger::Logv;
  void Logv(const char* format, va_list arguments) override;
  void Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) override;

 private:
  LogLimiter limiter_;
};

}  // namespace spillway::internal

#endif  // SPILLWAY_SPILL_ROCKSDB_LOGGER_H_
