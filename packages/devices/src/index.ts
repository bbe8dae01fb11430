export { type DeviceName, deviceNames, isDeviceName } from './device-names';
export { type OpenOptions, openDevice } from './open-device';
