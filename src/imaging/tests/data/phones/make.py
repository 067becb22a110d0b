# Fixtures of HEIC, made by libheif and x265.
import numpy as np
from PIL import Image, ImageCms
import pillow_heif, sys
pillow_heif.register_heif_opener()
out = sys.argv[1]
W, H = 64, 48
y, x = np.mgrid[0:H, 0:W].astype(float)
rgb = np.stack([x / (W - 1) * 255, y / (H - 1) * 255, 128 + 100 * np.sin(x / 9) * np.cos(y / 7)], -1).round().astype(np.uint8)
picture = Image.fromarray(rgb)
exif = picture.getexif(); exif[0x010F] = "Dualres"; exif[0x0110] = "Fixture"
xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/heic"/></rdf:RDF></x:xmpmeta>'
icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
picture.save(f"{out}/colour.heic", quality=95, chroma=444, exif=exif, xmp=xmp, icc_profile=icc)
picture.convert("L").save(f"{out}/gray.heic", quality=95)
alpha = picture.copy(); alpha.putalpha(Image.fromarray((x * 4).clip(0, 255).astype(np.uint8))); alpha.save(f"{out}/alpha.heic", quality=95, chroma=444)
deep = (rgb.astype(np.uint16) * 257)
pillow_heif.encode("RGB;16", (W, H), deep.tobytes(), f"{out}/ten_bits.heic", quality=95, chroma=444)
