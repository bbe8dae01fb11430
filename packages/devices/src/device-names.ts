/** Every device that a program can ask for by name. */
export const deviceNames = ['cpu', 'webgpu', 'cuda', 'reference'] as const;
export type DeviceName = (typeof deviceNames)[number];

/** Is this one of the names? For values that come from a command line or a config. */
export function isDeviceName(value: unknown): value is DeviceName {
  return (deviceNames as readonly unknown[]).includes(value);
}
