#!/usr/bin/env bash
# Makes pictures of every kind that photographers have, by programs that are not this one: ImageMagick, libvips, exiftool.
# usage: make.sh FOLDER; the folder holds adobe.icc and gray.icc.
set -euo pipefail
cd "$1"

# A smooth picture, so that lossy formats keep it closely, with hard edges in its alpha.
convert -size 48x32 -depth 16 gradient:'#2040c0'-'#e0a020' \( -size 48x32 gradient:'#000000'-'#406080' -rotate 180 \) \
    -compose plus -composite \( -size 32x48 gradient: -rotate 90 -resize 48x32! \) -compose blend \
    -define compose:args=30 -composite -alpha off -strip rgb.miff
convert rgb.miff -colorspace Gray -depth 16 gray.miff
convert -size 48x32 xc:black -fill white -draw 'circle 24,16 24,4' -blur 0x1 -depth 16 mask.miff
convert rgb.miff mask.miff -alpha off -compose CopyOpacity -composite rgba.miff
convert gray.miff mask.miff -alpha off -compose CopyOpacity -composite graya.miff

for kind in gray graya rgb rgba; do
    case $kind in gray) type=0 ;; rgb) type=2 ;; graya) type=4 ;; *) type=6 ;; esac
    for depth in 8 16; do
        png="-define png:bit-depth=$depth -define png:color-type=$type"
        convert $kind.miff -depth $depth $png $kind-$depth.png
        convert $kind.miff -depth $depth -interlace PNG $png $kind-$depth-interlaced.png
        for compression in None LZW Zip; do
            convert $kind.miff -depth $depth -compress $compression $kind-$depth-$compression.tif
        done
        convert $kind.miff -depth $depth -define tiff:tile-geometry=16x16 -compress LZW $kind-$depth-tiled.tif
        convert $kind.miff -depth $depth -interlace plane $kind-$depth-planar.tif
        convert $kind.miff -depth $depth -endian MSB $kind-$depth-big.tif
    done
    convert $kind.miff -depth 32 -define quantum:format=floating-point -compress Zip $kind-float.tif
done
convert gray.miff -threshold 50% -type bilevel -depth 1 bilevel.png
convert gray.miff -threshold 50% -type bilevel -depth 1 -compress None bilevel.tif
convert gray.miff -depth 4 -define png:bit-depth=4 gray-4.png
convert gray.miff -depth 4 -compress None gray-4.tif
convert rgb.miff -depth 8 +dither -colors 60 png8:palette.png
vips pngsave rgba-8.png palette-transparent.png --palette
convert rgb.miff -depth 8 +dither -colors 60 -type palette palette.tif
convert rgb.miff -depth 8 +dither -colors 60 palette.gif
convert rgb.miff -depth 8 bmp3:rgb.bmp
convert rgba.miff -depth 8 rgba.bmp
convert rgb.miff -depth 8 rgb.ppm
convert rgb.miff -depth 16 rgb-16.ppm
convert gray.miff -depth 16 gray-16.pgm
convert rgba.miff -depth 8 rgba.pam
for sampling in 1x1 2x1 2x2; do
    convert rgb.miff -depth 8 -quality 95 -sampling-factor $sampling rgb-$sampling.jpg
done
convert rgb.miff -depth 8 -quality 95 -interlace JPEG rgb-progressive.jpg
convert gray.miff -depth 8 -quality 95 gray.jpg
convert rgb.miff -depth 8 -colorspace CMYK -quality 98 cmyk.jpg
convert rgb.miff -depth 8 -colorspace CMYK -compress LZW cmyk.tif
convert rgb.miff -depth 8 -quality 95 rgb-lossy.webp
vips webpsave rgba-8.png rgba-lossless.webp --lossless
convert rgb.miff -depth 8 for-vips.png
convert rgba.miff -depth 8 for-vips-alpha.png
vips heifsave for-vips.png rgb.avif --compression av1 --Q 95
vips heifsave for-vips.png rgb-420.avif --compression av1 --Q 95 --subsample-mode on
convert rgb.miff -depth 16 for-vips-16.png
vips heifsave for-vips-16.png rgb-12.avif --compression av1 --Q 95 --bitdepth 12
vips heifsave for-vips-alpha.png rgba.avif --compression av1 --Q 95
rm for-vips.png for-vips-16.png for-vips-alpha.png

# Profiles are attached, not converted to.
for name in rgb-8.png rgb-16-Zip.tif rgb-1x1.jpg rgb-lossy.webp; do
    convert $name -profile adobe.icc profile-$name
done
for name in gray-16.png gray-8-LZW.tif gray.jpg; do
    convert $name -profile gray.icc profile-$name
done

# Everything that a camera and its owner write, and every way to hold the camera.
for orientation in 1 2 3 4 5 6 7 8; do
    for name in rgb-1x1.jpg rgb-8.png rgb-16-Zip.tif; do
        cp $name turned-$orientation-$name
    done
done
exiftool -q -m -overwrite_original -Make='Maker & Sons' -Model='Model 1' -Artist='Ünal Öz' \
    -DateTimeOriginal='2024:05:06 07:08:09' -ExifImageWidth=48 -ExifImageHeight=32 -GPSLatitude=48.5 -GPSLatitudeRef=N \
    -GPSLongitude=9.25 -GPSLongitudeRef=E -LensModel='50 mm' -XMP-dc:Title='A title' -XMP-dc:Subject='one' \
    -XMP-dc:Subject='two' -IPTC:Headline='A headline' -XResolution=300 -YResolution=300 -ResolutionUnit=inches \
    turned-*
for orientation in 1 2 3 4 5 6 7 8; do
    exiftool -q -m -overwrite_original -Orientation#=$orientation turned-$orientation-*
done
rm -f ./*.miff ./*_original
