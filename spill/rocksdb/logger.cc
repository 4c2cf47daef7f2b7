#include "spill/rocksdb/logger.h"

#include <cstdio>
#include <string>

#include "glog/logging.h"

namespace spillway::internal {

void RocksDbLogger::Logv(const char* format, va_list arguments) {
  Logv(rocksdb::InfoLogLevel::INFO_LEVEL, format, arguments);
}

void RocksDbLogger::Logv(rocksdb::InfoLogLevel level, const char* format, va_list arguments) {
  const bool is_warning = level == rocksdb::InfoLogLevel::WARN_LEVEL;
  const bool is_error =
      level == rocksdb::InfoLogLevel::ERROR_LEVEL || level == rocksdb::InfoLogLevel::FATAL_LEVEL;
  if (!is_warning && !is_error && !VLOG_IS_ON(2)) return;
  std::string note;
  if ((is_warning || is_error) && !limiter_.MayLog(&note)) return;

  char line[1024];
  vsnprintf(line, sizeof(line), format, arguments);
  if (is_error) {
    LOG(ERROR) << "RocksDB: " << line << note;
  } else if (is_warning) {
    LOG(WARNING) << "RocksDB: " << line << note;
  } else {
    LOG(INFO) << "RocksDB: " << line;
  }
}

}  // namespace spillway::internal
