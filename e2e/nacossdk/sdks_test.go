package nacossdk

import "github.com/easynet-cn/batata/e2e/drive"

// sdk is a row of the table: an SDK and what it does in its own way. The zero
// value of each quirk is what most do.
type sdk struct {
	drive.SDK

	// deaf: the SDK takes errors 300 to 399 of its health check for health
	// (NAC-ERR-24), so after a short restart it notices only by the next call of
	// the application that its connection is gone.
	deaf bool
	// limited: what the SDK throws when it is asked more often than it likes
	// (NAC-TIM-14); others wait.
	limited string
	// closeFails: what closing a client throws.
	closeFails string

	// Configs.

	// quietListen: a listener is not told the content that is there already.
	quietListen bool
	// losesPush: the SDK acknowledges and forgets a push that comes while it
	// refreshes the same config, until the next push or a full sync every 5 min
	// (NAC-CFG-66): a late writer of its own marks the item as in sync.
	losesPush bool

	// Services.

	// quietSubscribe: a subscriber is not told the instances that are there
	// already.
	quietSubscribe bool
	// quietEmpty: a subscriber is not told that the last instance went
	// (NAC-NAM-42).
	quietEmpty bool
	// polls: changes of services reach the SDK only when it asks for them, every
	// 10 s (NAC-TIM-11) or as often as it was told.
	polls bool
	// slowRedo: after a reconnect the SDK redoes its registrations and
	// subscriptions with a scan every 30 s only (NAC-CON-38).
	slowRedo bool
}

// sdks is the table. Versions are pinned by the files of the drivers.
var sdks = []sdk{
	{
		SDK:     drive.Go("go-2.3.2", "go2"),
		limited: "ConfigQueryRequest is limited", losesPush: true,
	},
	{
		SDK: drive.Go("go-1.0.8", "go1"),
	},
	{
		SDK: drive.Java("java-3.2.1", "3.2.1-2026.03.30"),
	},
	{
		SDK: drive.Java("java-2.5.1", "2.5.1"),
	},
	{
		SDK:       drive.Python("python-3.2.0", "3.2.0", "grpc_driver.py"),
		losesPush: true, slowRedo: true,
	},
	{
		SDK:  drive.Python("python-2.0.11", "2.0.11", "grpc_driver.py"),
		deaf: true, losesPush: true, slowRedo: true,
		// It awaits a function that is not asynchronous, having closed all else.
		closeFails: "TypeError: object NoneType can't be used in 'await' expression",
	},
	{
		// The same package has the older client too.
		SDK:         drive.Python("python-2.0.11-http", "2.0.11", "http_driver.py"),
		quietListen: true, quietSubscribe: true, polls: true,
	},
	{
		SDK:        drive.Node("node-2.6.3"),
		quietEmpty: true,
	},
}
