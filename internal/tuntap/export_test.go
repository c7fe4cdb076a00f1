package tuntap

// OpenAt is Open with another file for the device.
func OpenAt(path string, cfg Config) (*Device, error) { return open(path, cfg) }
