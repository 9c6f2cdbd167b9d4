-- Requests of one kind by visitors with different sessions, for wrk.
-- Arguments: the kind, and a file with a session cookie on each line. New cookies in responses are
-- ignored, so a signed cookie is always the first one.

local kind, sessions, turn

function init(arguments)
  kind = arguments[1]
  sessions = {}
  for line in io.lines(arguments[2]) do
    sessions[#sessions + 1] = line
  end
  turn = 0
end

function request()
  turn = turn + 1
  local headers = {
    Cookie = "__Host-sessionid=" .. sessions[turn % #sessions + 1] .. "; __Host-csrftoken=" .. string.rep("a", 32),
    ["X-Forwarded-Proto"] = "https",
  }
  if kind == "read" then
    return wrk.format("GET", "/sessions/get-item/?key=color", headers)
  end
  headers["X-CSRFToken"] = string.rep("a", 32)
  headers["Referer"] = "https://" .. wrk.host .. ":" .. wrk.port .. "/"
  headers["Content-Type"] = "application/x-www-form-urlencoded"
  return wrk.format("POST", "/sessions/set-item/", headers, "key=color&value=" .. turn)
end

-- The result: requests, seconds, milliseconds of the 99th percentile, failures.
function done(summary, latency)
  local errors = summary.errors
  print(string.format(
    "counted %d %.3f %.3f %d",
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e3,
    errors.connect + errors.read + errors.write + errors.status + errors.timeout
  ))
end
