/* The numbers of the zip format (APPNOTE 6.3.10) that reader and writer share. */

export const LOCAL_HEADER = 0x04034b50;
export const CENTRAL_HEADER = 0x02014b50;
export const END_OF_DIRECTORY = 0x06054b50;
export const ZIP64_END_OF_DIRECTORY = 0x06064b50;
export const ZIP64_LOCATOR = 0x07064b50;

/** Bytes of each record without its names and extra fields. */
export const LOCAL_HEADER_BYTES = 30;
export const CENTRAL_HEADER_BYTES = 46;
export const END_OF_DIRECTORY_BYTES = 22;
export const ZIP64_END_OF_DIRECTORY_BYTES = 56;
export const ZIP64_LOCATOR_BYTES = 20;

/** The extra field that holds what does not fit in 32 bits; a field of all ones says: look there. */
export const ZIP64_EXTRA = 0x0001;
export const ALL_ONES_16 = 0xffff;
export const ALL_ONES_32 = 0xffffffff;
