package phrase

// What pages say of devices that submit without logging in, and of limits.
const (
	DeviceAdded       = "Whatever comes from %s may submit mail as %s from now on."
	RemoveDeviceTitle = "Take the right to submit from %s?"
	DeviceLost        = "What is there can’t send as %s any more without logging in; open sessions end."
	DeviceMailStays   = "What it has sent already stays where it is."
	DeviceRemoved     = "%s can’t submit without logging in any more."
	DeviceSendsAs     = "It sends as %s now. Open sessions in that name can’t send any more after the change."
	DeviceAccountHelp = "An account of this server."
	DeviceMoved       = "%s sends as %s from now on."
	LimitsSet         = "The limits are set. They hold from now on."
	LimitsCleared     = "From now on the configuration’s limits hold."
)
