/** Base of every error this package throws on purpose: catch it to separate bad input from bugs. */
export class TensorError extends Error {
  override name = 'TensorError';
}

/** An argument has the wrong shape. The message names the argument, what was expected and what came. */
export class ShapeError extends TensorError {
  override name = 'ShapeError';
}

/** An argument has the wrong element type. */
export class DTypeError extends TensorError {
  override name = 'DTypeError';
}

/** Tensors of different devices meet, or a device lacks what was asked for. */
export class DeviceError extends TensorError {
  override name = 'DeviceError';
}

/** The device went away (driver reset, adapter unplugged, `destroy()`): its tensors are gone; a new device works. */
export class DeviceLostError extends DeviceError {
  override name = 'DeviceLostError';
}

/** A tensor was used after `dispose()`. */
export class DisposedError extends TensorError {
  override name = 'DisposedError';
}

/** A value is out of range: an index (token id, class) outside its table, an axis outside the shape, a NaN where an integer is needed. */
export class OutOfRangeError extends TensorError {
  override name = 'OutOfRangeError';
}

/** `grad` was asked for something that it cannot differentiate. */
export class GradientError extends TensorError {
  override name = 'GradientError';
}
