// What senders of spans need of Scribe.
enum ResultCode {
  OK = 0
  TRY_LATER = 1
}

struct LogEntry {
  1: string category
  2: string message
}

service Scribe {
  ResultCode Log(1: list<LogEntry> messages)
}
