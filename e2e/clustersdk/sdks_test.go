package clustersdk

import (
	"time"

	"github.com/easynet-cn/batata/e2e/drive"
)

// sdk is a row of the table: an SDK and what it does in its own way.
type sdk struct {
	drive.SDK
	roaming int // so many of its clients roam

	// limited: what the SDK throws when it is asked more often than it likes
	// (NAC-TIM-14); others wait.
	limited string
	// losesPush: the SDK acknowledges and forgets a push that comes while it
	// refreshes the same config (NAC-CFG-66), until the next.
	losesPush bool
	// slowRedo: after a reconnect the SDK redoes its registrations and
	// subscriptions with a scan every 30 s only (NAC-CON-38). Until then nobody
	// answers for its instances; they are kept for about as long (ARC-A07), so
	// they may be missing for a moment.
	slowRedo bool
	// shutsFirst: moving to another server, the SDK shuts its old channel a moment
	// before calls use the new one; what it throws at a call that comes between.
	shutsFirst string
	// hasty: asked to move, the SDK does nothing (its handler takes an asynchronous
	// lock as if it were a plain one); when the stream ends it tries a call for 0.3 s
	// only and then throws, connected by then or not.
	hasty bool
}

const shut = "Channel shutdown invoked"

var sdks = []sdk{
	{SDK: drive.Go("go-2.3.2", "go2"), roaming: 3, limited: "ConfigQueryRequest is limited", losesPush: true},
	{SDK: drive.Java("java-3.2.1", "3.2.1-2026.03.30"), roaming: 2, shutsFirst: shut},
	{SDK: drive.Java("java-2.5.1", "2.5.1"), roaming: 1, shutsFirst: shut},
	{SDK: drive.Python("python-3.2.0", "3.2.0", "grpc_driver.py"), roaming: 1, losesPush: true, slowRedo: true, hasty: true},
}

const (
	// told bounds the way of a change to a listener: a new one of some SDKs
	// reaches the server after up to 5 s (NAC-CFG-66), a reconnect takes seconds,
	// and the machine may be busy.
	told = 30 * time.Second
	// lost is after how long an SDK that loses pushes has lost one.
	lost = 8 * time.Second
	// redone is when clients are back that redo with a slow scan.
	redone = 90 * time.Second
)
